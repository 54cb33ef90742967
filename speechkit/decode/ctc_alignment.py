"""Where a known token sequence lies in time: its likeliest CTC path, by the Viterbi algorithm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit


def align(
    log_probs: np.ndarray, tokens: Sequence[int], blank_id: int = 0
) -> tuple[float, list[tuple[int, int]], list[float]]:
    """The likeliest of all CTC paths that spell ``tokens``.

    Over the states z = (blank, y_1, blank, ..., y_U, blank), as in the CTC forward pass with max in place of sum:
    ``delta_t(s) = log p_t(z_s) + max(delta_{t-1}(s), delta_{t-1}(s-1), [delta_{t-1}(s-2)])``, the last one only where
    z_s is neither blank nor equal to z_{s-2}. Of equal paths the one that moves on later wins.

    Args:
        log_probs: (S, V) log-probabilities (nats).
        tokens: U token ids without blanks.
        blank_id: Id of the blank.

    Returns:
        The path's log-probability (``-inf`` if no path spells the tokens, then with no spans), each token's span
        (first frame, frame after the last), and the token's highest probability in its span.
    """
    states = np.full(2 * len(tokens) + 1, blank_id, dtype=np.int64)
    states[1::2] = tokens
    if len(log_probs) == 0:
        return (0.0 if len(tokens) == 0 else -np.inf), [], []
    score, path = _viterbi(np.ascontiguousarray(log_probs, dtype=np.float64), states)
    if score == -np.inf:
        return score, [], []
    labels = np.arange(1, len(states), 2)
    # The path never goes back to a lower state, so the frames of one token are one run.
    first, last = np.searchsorted(path, labels), np.searchsorted(path, labels, side="right")
    spans = list(zip(first.tolist(), last.tolist()))
    peaks = [min(1.0, float(np.exp(log_probs[a:b, token].max()))) for (a, b), token in zip(spans, tokens)]
    return score, spans, peaks


@njit(cache=True, nogil=True)
def _viterbi(log_probs: np.ndarray, states: np.ndarray) -> tuple[float, np.ndarray]:
    num_frames, num_states = len(log_probs), len(states)
    moves = np.zeros((num_frames, num_states), dtype=np.int8)
    delta = np.full(num_states, -np.inf)
    delta[: min(2, num_states)] = log_probs[0, states[:2]]
    for t in range(1, num_frames):
        for s in range(num_states - 1, -1, -1):  # downwards, so that delta still holds frame t - 1 below s
            best, move = delta[s], 0
            if s >= 1 and delta[s - 1] > best:
                best, move = delta[s - 1], 1
            # Two blanks are equal as well: what lies two states before a blank is a blank.
            if s >= 2 and states[s] != states[s - 2] and delta[s - 2] > best:
                best, move = delta[s - 2], 2
            delta[s] = best + log_probs[t, states[s]]
            moves[t, s] = move
    s = num_states - 1
    if num_states > 1 and delta[s - 1] > delta[s]:
        s -= 1
    score, path = delta[s], np.empty(num_frames, dtype=np.int64)
    for t in range(num_frames - 1, -1, -1):
        path[t] = s
        s -= moves[t, s]
    return score, path
