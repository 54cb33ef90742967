"""The recursions of CTC on the CPU, state by state: an utterance and a direction at a time, as many at once as threads."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import torch
from numba import njit
from torch import Tensor

NEGLIGIBLE = -37.0  # nats; exp(-37) is less than the last bit of 1.0
ENOUGH = 20_000  # emissions; for fewer, starting threads costs more than it saves


def scan(
    emissions: Tensor, repeats: Tensor, frame_lens: Tensor, token_lens: Tensor, both: bool
) -> tuple[Tensor, Tensor | None]:
    """Alphas and betas; see :data:`speechkit.graphs.ctc.Scan`."""
    batch, num_frames, columns = emissions.shape
    found = torch.full((1 + both, batch, num_frames, 2 * columns - 1), -torch.inf, dtype=torch.float64)
    scores, same, out = (each.detach().numpy() for each in (emissions, repeats, found))
    facts = list(zip(frame_lens.tolist(), token_lens.tolist()))

    def one(task: tuple[int, int]) -> None:
        backward, b = task
        _one(scores[b], same[b], *facts[b], backward == 1, out[backward, b])

    tasks = list(product(range(1 + both), range(batch)))
    threads = min(torch.get_num_threads(), len(tasks)) if emissions.numel() >= ENOUGH else 1
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, tasks))
    else:
        list(map(one, tasks))
    return found[0], found[1] if both else None


@njit(cache=True, nogil=True, error_model="numpy")
def _one(
    emissions: np.ndarray, repeats: np.ndarray, num_frames: int, num_tokens: int, backward: bool, out: np.ndarray
) -> None:
    """One recursion. Betas are alphas with frames and states counted from their ends, less the frame's own emission."""
    num_states = 2 * num_tokens + 1
    # Two impossible states in front, so that the first ones need no case of their own.
    before, now = np.full(num_states + 2, -np.inf), np.full(num_states + 2, -np.inf)
    for step in range(num_frames):
        t = num_frames - 1 - step if backward else step
        # Only states that the frames so far can reach, and from which those left can reach the end.
        low, high = max(0, num_states - 2 * (num_frames - step)), min(num_states, 2 * step + 2)
        for i in range(low, high):
            s = num_states - 1 - i if backward else i
            u = s // 2
            if step == 0:
                arrived = 0.0
            elif s % 2 == 0 or repeats[u + backward]:
                arrived = _add(before[i + 2], before[i + 1], -np.inf)
            else:
                arrived = _add(before[i + 2], before[i + 1], before[i])
            now[i + 2] = arrived + emissions[t, u + 1 if s % 2 else 0]
            out[t, s] = arrived if backward else now[i + 2]
        before, now = now, before


@njit(cache=True, nogil=True, inline="always")
def _add(a: float, b: float, c: float) -> float:
    """``log(exp(a) + exp(b) + exp(c))``; NaN if one of them is."""
    if a < b:
        a, b = b, a
    if a < c:
        a, c = c, a
    if a == -np.inf or math.isnan(b) or math.isnan(c):
        return a + b + c
    total = 1.0
    if b - a > NEGLIGIBLE:
        total += math.exp(b - a)
    if c - a > NEGLIGIBLE:
        total += math.exp(c - a)
    return a + math.log(total)
