"""Monotonic alignment search: which frames belong to which token, when only their likelihoods are known."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from speechkit.utils.utterances import UtteranceError

Kernel = Literal["auto", "numba", "torch"]
ENOUGH = 100_000  # scores; for fewer, starting threads costs more than it saves


@torch.no_grad()
def monotonic_alignment_search(
    log_likelihoods: Tensor, frame_lens: Tensor, token_lens: Tensor, kernel: Kernel = "auto"
) -> Tensor:
    """The best way to give the frames of each utterance to its tokens, in order, each token at least one frame.

    ``Q(t, u) = v(t, u) + max(Q(t-1, u), Q(t-1, u-1))`` from the first token in the first frame to the last in the last
    (Kim et al. 2020, arXiv:2005.11129, equations 6 to 8). Of equal paths the one that moves on earlier wins. No gradient
    goes through it.

    Args:
        log_likelihoods: (B, T, U) v, of any range; what is outside of an utterance is never read.
        frame_lens: (B,) int64.
        token_lens: (B,) int64.
        kernel: ``numba`` searches an utterance per thread of the CPU, ``torch`` all at once where the scores are; ``auto``
            is numba for scores in main memory.

    Returns:
        (B, T, U) bool: the one token of each frame; False in padding. Its sum over T gives the durations in frames, and
        ``(log_likelihoods * path).sum((1, 2))`` the scores.

    Raises:
        UtteranceError: An utterance has fewer frames than tokens, or frames without a token.
    """
    hopeless = (frame_lens < token_lens) | ((token_lens == 0) & (frame_lens > 0))
    if hopeless.any():
        index = int(hopeless.nonzero()[0])
        raise UtteranceError(
            index,
            f"expected one token or more, and a frame for each of them, got {int(token_lens[index])} tokens and "
            f"{int(frame_lens[index])} frames; drop it, or look at its text",
        )
    if kernel == "auto":
        kernel = "numba" if log_likelihoods.device.type == "cpu" else "torch"
    return {"numba": _search_numba, "torch": _search_torch}[kernel](log_likelihoods.detach(), frame_lens, token_lens)


def gaussian_log_likelihoods(z: Tensor, means: Tensor, log_stds: Tensor) -> Tensor:
    """``log N(z_t; mean_u, std_u^2)``, summed over D, for all pairs of frames and tokens.

    ``-1/2 sum_d [log 2 pi + 2 log std + (z - mean)^2 / std^2]`` with the square multiplied out, so that the pairs are two
    matrix products and nothing of size T U D is held.

    Args:
        z: (B, T, D) frames.
        means: (B, U, D).
        log_stds: (B, U, D) natural logarithms.

    Returns:
        (B, T, U) nats.
    """
    precisions = torch.exp(-2 * log_stds)
    constant = -0.5 * (math.log(2 * math.pi) + 2 * log_stds + means.square() * precisions).sum(-1)  # (B, U)
    squares = -0.5 * z.square() @ precisions.mT
    return constant.unsqueeze(1) + squares + z @ (means * precisions).mT


def _search_torch(scores: Tensor, frame_lens: Tensor, token_lens: Tensor) -> Tensor:
    batch, num_frames, num_tokens = scores.shape
    path = torch.zeros_like(scores, dtype=torch.bool)
    if path.numel() == 0:
        return path
    steps = torch.zeros_like(path)
    best = scores.new_full((batch, num_tokens), -torch.inf)
    best[:, 0] = scores[:, 0, 0]
    for t in range(1, num_frames):
        stepped = F.pad(best[:, :-1], (1, 0), value=-torch.inf)
        steps[:, t] = stepped > best
        best = torch.maximum(best, stepped) + scores[:, t]
    rows, place = torch.arange(batch, device=scores.device), (token_lens - 1).clamp(min=0)
    for t in range(num_frames - 1, -1, -1):
        within = t < frame_lens
        path[rows, t, place] = within
        place = place - (steps[rows, t, place] & within).long()
    return path


def _search_numba(scores: Tensor, frame_lens: Tensor, token_lens: Tensor) -> Tensor:
    path = torch.zeros(scores.shape, dtype=torch.bool)
    values, out = scores.cpu().numpy(), path.numpy()

    def one(b: int, num_frames: int, num_tokens: int) -> None:
        _fill_path(values[b, :num_frames, :num_tokens], out[b])

    work = (range(len(values)), frame_lens.tolist(), token_lens.tolist())
    threads = min(torch.get_num_threads(), len(values)) if values.size >= ENOUGH else 1
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, *work))
    else:
        list(map(one, *work))
    return path.to(scores.device)


@njit(cache=True, nogil=True)
def _fill_path(scores: np.ndarray, path: np.ndarray) -> None:
    num_frames, num_tokens = scores.shape
    if num_frames == 0:
        return
    best = np.full(num_tokens, -np.inf, dtype=scores.dtype)
    best[0] = scores[0, 0]
    steps = np.zeros((num_frames, num_tokens), dtype=np.bool_)
    for t in range(1, num_frames):
        # Only tokens that can be reached by now, and from which the last one can still be; downwards, so that best still
        # holds frame t - 1 below u.
        for u in range(min(t, num_tokens - 1), max(0, num_tokens - num_frames + t) - 1, -1):
            steps[t, u] = u > 0 and best[u - 1] > best[u]
            best[u] = (best[u - 1] if steps[t, u] else best[u]) + scores[t, u]
    u = num_tokens - 1
    for t in range(num_frames - 1, -1, -1):
        path[t, u] = True
        u -= steps[t, u]
