"""What a transducer's loss computes faster in loops than in torch on the CPU."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit
from torch import Tensor


def forward_backward(
    blank: Tensor, label: Tensor, frame_lens: Tensor, token_lens: Tensor, stays: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-likelihoods and occupancies; see :func:`speechkit.graphs.transducer.forward_backward`.

    Args:
        blank: (B, S, U + 1) on the CPU.
        label: (B, S, U).
        frame_lens: (B,).
        token_lens: (B,).
        stays: Whether a token leaves the path in its frame.
    """
    total = blank.new_empty(len(blank))
    blank_occupancy, label_occupancy = torch.zeros_like(blank), torch.zeros_like(label)
    arrays = [each.contiguous().numpy() for each in (blank, label, blank_occupancy, label_occupancy)]

    def one(b: int, num_frames: int, num_tokens: int) -> None:
        total[b] = _utterance(*(each[b] for each in arrays), num_frames, num_tokens, stays)

    work = (range(len(blank)), frame_lens.tolist(), token_lens.tolist())
    threads = min(torch.get_num_threads(), len(blank))
    if threads > 1 and blank.numel() > 10_000:  # else starting threads costs more than it saves
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, *work))
    else:
        list(map(one, *work))
    return total, blank_occupancy, label_occupancy


@njit(cache=True, nogil=True)
def _logaddexp(a: float, b: float) -> float:
    if a == -np.inf:
        return b
    if b == -np.inf:
        return a
    if a > b:
        return a + math.log1p(math.exp(b - a))
    return b + math.log1p(math.exp(a - b))


@njit(cache=True, nogil=True)
def _utterance(
    blank: np.ndarray, label: np.ndarray, blank_occupancy: np.ndarray, label_occupancy: np.ndarray,
    num_frames: int, num_tokens: int, stays: bool,
) -> float:  # fmt: skip
    """The log-likelihood of one utterance of a padded batch; fills its occupancies, which come as zeros."""
    alpha = np.full((num_frames + 1, num_tokens + 1), -np.inf)
    alpha[0, 0] = 0.0
    frames_per_token = 0 if stays else 1
    for t in range(num_frames + 1):
        for u in range(num_tokens + 1):
            if t > 0:
                alpha[t, u] = _logaddexp(alpha[t, u], alpha[t - 1, u] + blank[t - 1, u])
            origin = t - frames_per_token
            if u > 0 and 0 <= origin < num_frames:
                alpha[t, u] = _logaddexp(alpha[t, u], alpha[origin, u - 1] + label[origin, u - 1])
    total = alpha[num_frames, num_tokens]
    if total == -np.inf:
        return total
    here, after = np.full(num_tokens + 1, -np.inf), np.full(num_tokens + 1, -np.inf)  # beta of frames t and t + 1
    after[num_tokens] = 0.0
    for t in range(num_frames - 1, -1, -1):
        for u in range(num_tokens, -1, -1):
            here[u] = -np.inf
            if alpha[t, u] == -np.inf:
                continue  # no path comes here, so nobody asks how it would go on
            onward = blank[t, u] + after[u]
            here[u] = onward
            blank_occupancy[t, u] = math.exp(alpha[t, u] + onward - total)
            if u < num_tokens:
                onward = label[t, u] + (here[u + 1] if stays else after[u + 1])
                here[u] = _logaddexp(here[u], onward)
                label_occupancy[t, u] = math.exp(alpha[t, u] + onward - total)
        here, after = after, here
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def tanh_of_sums(a: np.ndarray, b: np.ndarray, rows_of_a: np.ndarray, rows_of_b: np.ndarray, out: np.ndarray) -> None:
    """``out[n] = tanh(x[rows_of_a[n]] + y[rows_of_b[n]])`` from ``a = exp(2 x)`` and ``b = exp(2 y)``.

    ``tanh(x + y) = 1 - 2 / (1 + a b)`` needs no exponential for each pair, and is as exact as float32 while |x| and |y| are
    so small (below 40) that neither factor is infinite or 0.
    """
    one, two = a.dtype.type(1), a.dtype.type(2)
    for n in range(len(out)):
        left, right, row = a[rows_of_a[n]], b[rows_of_b[n]], out[n]
        for j in range(len(row)):
            row[j] = one - two / (one + left[j] * right[j])


@njit(cache=True, nogil=True)
def best_windows(score: np.ndarray, max_step: int) -> np.ndarray:
    """The sequence of window positions (S,) with the highest sum of scores that never goes back.

    Args:
        score: (S, P) value of each of the P positions in each frame.
        max_step: How far a window may move from a frame to the next. It starts at position 0 and ends at the last one.

    Returns:
        (S,) positions; there must be a way to the last one: ``P <= 1 + (S - 1) * max_step``.
    """
    num_frames, num_positions = score.shape
    best = np.full(num_positions, -np.inf)
    best[0] = score[0, 0]
    steps = np.zeros((num_frames, num_positions), dtype=np.int32)
    for t in range(1, num_frames):
        for p in range(num_positions - 1, -1, -1):  # downwards, so that best still holds frame t - 1 below p
            highest, taken = best[p], 0
            for step in range(1, min(max_step, p) + 1):
                if best[p - step] > highest:
                    highest, taken = best[p - step], step
            best[p], steps[t, p] = highest + score[t, p], taken
    path = np.empty(num_frames, dtype=np.int64)
    position = num_positions - 1
    for t in range(num_frames - 1, -1, -1):
        path[t] = position
        position -= steps[t, position]
    return path
