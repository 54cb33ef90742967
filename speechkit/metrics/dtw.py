"""Dynamic time warping: which frames of two recordings of the same words belong together."""

from __future__ import annotations

import numpy as np
from numba import njit


def dtw(ref: np.ndarray, hyp: np.ndarray) -> np.ndarray:
    """The cheapest monotonic path through all frames of both (Sakoe and Chiba 1978, without slope weights).

    A step goes on by one frame in ``ref``, in ``hyp``, or in both, and costs the Euclidean distance of the frames that it
    comes to. Of equally cheap steps the one in both is taken.

    Args:
        ref: (T, D), T >= 1.
        hyp: (S, D), S >= 1.

    Returns:
        (P, 2) int64, from (0, 0) to (T - 1, S - 1): pairs of frames.

    Raises:
        ValueError: Shapes that do not fit, no frames, or values that are not finite.
    """
    ref, hyp = np.ascontiguousarray(ref, dtype=np.float64), np.ascontiguousarray(hyp, dtype=np.float64)
    if ref.ndim != 2 or hyp.ndim != 2 or ref.shape[1] != hyp.shape[1] or not len(ref) or not len(hyp):
        raise ValueError(
            f"dtw: expected (T, D) and (S, D) with a frame or more, got {ref.shape} and {hyp.shape}; "
            "both need the same features, and recordings that are not empty"
        )
    if not (np.isfinite(ref).all() and np.isfinite(hyp).all()):
        raise ValueError("dtw: expected finite features, got NaN or infinity; look at the audio")
    return _trace(_steps(ref, hyp))


@njit(cache=True, nogil=True)
def _steps(ref: np.ndarray, hyp: np.ndarray) -> np.ndarray:
    """How the cheapest path comes to each pair (T, S): by a step in both (0), in ``ref`` (1) or in ``hyp`` (2)."""
    steps = np.zeros((len(ref), len(hyp)), dtype=np.uint8)
    above = np.full(len(hyp) + 1, np.inf)  # costs of the row before, behind one that no path comes from
    above[0] = 0.0
    row = np.empty_like(above)
    for t in range(len(ref)):
        row[0] = np.inf
        for s in range(len(hyp)):
            best, step = above[s], 0
            if above[s + 1] < best:
                best, step = above[s + 1], 1
            if row[s] < best:
                best, step = row[s], 2
            distance = 0.0
            for d in range(ref.shape[1]):
                distance += (ref[t, d] - hyp[s, d]) ** 2
            row[s + 1] = best + np.sqrt(distance)
            steps[t, s] = step
        above, row = row, above
    return steps


@njit(cache=True, nogil=True)
def _trace(steps: np.ndarray) -> np.ndarray:
    t, s = steps.shape[0] - 1, steps.shape[1] - 1
    path = np.empty((t + s + 1, 2), dtype=np.int64)
    start = t + s + 1
    while True:
        start -= 1
        path[start, 0], path[start, 1] = t, s
        if t == 0 and s == 0:
            return path[start:].copy()
        step = steps[t, s]
        t -= step != 2
        s -= step != 1
