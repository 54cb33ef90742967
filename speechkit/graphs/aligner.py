"""Forced alignment: where the tokens of a known transcript lie in time, by the Viterbi algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from torch import Tensor

from speechkit.utils.utterances import UtteranceError

# What a path does between two places of a lattice.
STAY, STEP, SKIP = 0, 1, 2


@dataclass(frozen=True)
class Alignment:
    """The likeliest way to place U tokens in S frames.

    Args:
        score: Log-score (nats) of the one path; ``-inf`` if there is none, and then no times.
        token_times: For each token its first frame and the one after its last; ordered, not overlapping.
        confidences: For each token the highest probability that the network gives it in its span, in [0, 1].
    """

    score: float
    token_times: list[tuple[int, int]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)


NO_PATH = Alignment(-np.inf)


def utterances(scores: Tensor, frame_lens: Tensor) -> Iterator[np.ndarray]:
    """A padded batch (B, S, ...) as arrays (S_b, ...) in double precision and main memory, for the functions below.

    Raises:
        UtteranceError: A score is NaN.
    """
    for index, (row, length) in enumerate(zip(scores.detach().cpu(), frame_lens.tolist(), strict=True)):
        frames = row[:length].double().numpy()
        if np.isnan(frames).any():
            raise UtteranceError(index, "expected scores of each frame, got nan; look for a model that has diverged")
        yield frames


def align_ctc(log_probs: np.ndarray, tokens: Sequence[int], blank_id: int = 0) -> Alignment:
    """The likeliest of all CTC paths that spell ``tokens``.

    Over the states z = (blank, y_1, blank, ..., y_U, blank), as in the CTC forward pass with max in place of sum:
    ``delta_t(s) = log p_t(z_s) + max(delta_{t-1}(s), delta_{t-1}(s-1), [delta_{t-1}(s-2)])``, the last one only where
    z_s is neither blank nor equal to z_{s-2}. Of equal paths the one that moves on earlier wins.

    Args:
        log_probs: (S, V) log-probabilities (nats).
        tokens: U token ids without blanks.
        blank_id: Id of the blank.
    """
    states = np.full(2 * len(tokens) + 1, blank_id, dtype=np.int64)
    states[1::2] = tokens
    if len(log_probs) == 0:
        return Alignment(0.0) if len(tokens) == 0 else NO_PATH
    score, path = _ctc_path(np.ascontiguousarray(log_probs, dtype=np.float64), states)
    if score == -np.inf:
        return NO_PATH
    # The path never goes back to a lower state, so the frames of one token are one run.
    labels = np.arange(1, len(states), 2)
    first, last = np.searchsorted(path, labels), np.searchsorted(path, labels, side="right")
    spans = list(zip(first.tolist(), last.tolist()))
    peaks = [min(1.0, float(np.exp(log_probs[a:b, token].max()))) for (a, b), token in zip(spans, tokens)]
    return Alignment(float(score), spans, peaks)


def align_monotonic(blank: np.ndarray, label: np.ndarray) -> Alignment:
    """The likeliest path through a lattice in which each frame gives a token or the blank (RNA, monotonic RNN-T).

    ``delta(t+1, u) = max(delta(t, u) + blank(t, u), delta(t, u-1) + label(t, u-1))`` from (0, 0) to (S, U). Of equal paths
    the one that emits earlier wins.

    Args:
        blank: (S, U + 1) log-probability of the blank in frame t after u tokens.
        label: (S, U) log-probability of token u + 1 there.
    """
    return _from_emissions(blank, label, 1)


def align_transducer(blank: np.ndarray, label: np.ndarray) -> Alignment:
    """The likeliest path through the lattice of a transducer, in which a frame gives any number of tokens, then the blank.

    ``delta(t, u) = max(delta(t-1, u) + blank(t-1, u), delta(t, u-1) + label(t, u-1))`` from (0, 0) to (S-1, U), where the
    last blank follows (Graves 2012, arXiv:1211.3711, equations 16 to 19, with max in place of sum). Of equal paths the one
    that emits earlier wins. A token has the frame that emits it; where that one emits several, the last of them has it, and
    the others take no time.

    Args:
        blank: (S, U + 1) log-probability of the blank in frame t after u tokens.
        label: (S, U) log-probability of token u + 1 there.
    """
    return _from_emissions(blank, label, 0)


def _from_emissions(blank: np.ndarray, label: np.ndarray, frames_per_token: int) -> Alignment:
    if len(blank) == 0:
        return Alignment(0.0) if label.shape[1] == 0 else NO_PATH
    arrays = (np.ascontiguousarray(each, dtype=np.float64) for each in (blank, label))
    score, frames = _lattice_path(*arrays, frames_per_token)
    if score == -np.inf:
        return NO_PATH
    ends = frames + np.append(frames[1:] > frames[:-1], np.ones(min(1, len(frames)), dtype=bool))
    probs = np.exp(label[frames, np.arange(len(frames))]).clip(max=1.0)
    return Alignment(float(score), list(zip(frames.tolist(), ends.tolist())), probs.tolist())


@njit(cache=True, nogil=True)
def _ctc_path(log_probs: np.ndarray, states: np.ndarray) -> tuple[float, np.ndarray]:
    num_frames, num_states = len(log_probs), len(states)
    moves = np.zeros((num_frames, num_states), dtype=np.int8)
    delta = np.full(num_states, -np.inf)
    delta[: min(2, num_states)] = log_probs[0, states[:2]]
    for t in range(1, num_frames):
        for s in range(num_states - 1, -1, -1):  # downwards, so that delta still holds frame t - 1 below s
            best, move = delta[s], STAY
            if s >= 1 and delta[s - 1] > best:
                best, move = delta[s - 1], STEP
            # Two blanks are equal as well: what lies two states before a blank is a blank.
            if s >= 2 and states[s] != states[s - 2] and delta[s - 2] > best:
                best, move = delta[s - 2], SKIP
            delta[s] = best + log_probs[t, states[s]]
            moves[t, s] = move
    s = num_states - 1
    if num_states > 1 and delta[s - 1] > delta[s]:
        s -= 1
    return delta[s], _trace(moves, s)


@njit(cache=True, nogil=True)
def _trace(moves: np.ndarray, place: int) -> np.ndarray:
    """The places (S,) that a path came by, from the last one back."""
    path = np.empty(len(moves), dtype=np.int64)
    for t in range(len(moves) - 1, -1, -1):
        path[t] = place
        place -= moves[t, place]
    return path


@njit(cache=True, nogil=True)
def _lattice_path(blank: np.ndarray, label: np.ndarray, frames_per_token: int) -> tuple[float, np.ndarray]:
    """The score of the best path and the frames (U,) that emit; a token takes one frame, or none."""
    num_frames, num_tokens = label.shape
    delta = np.full((num_frames + 1, num_tokens + 1), -np.inf)
    emitted = np.zeros((num_frames + 1, num_tokens + 1), dtype=np.bool_)
    delta[0, 0] = 0.0
    for t in range(num_frames + 1):
        for u in range(num_tokens + 1):
            if t > 0:
                delta[t, u] = max(delta[t, u], delta[t - 1, u] + blank[t - 1, u])
            origin = t - frames_per_token
            if u > 0 and 0 <= origin < num_frames:
                arrived = delta[origin, u - 1] + label[origin, u - 1]
                if arrived > delta[t, u]:
                    delta[t, u], emitted[t, u] = arrived, True
    score, frames = delta[num_frames, num_tokens], np.zeros(num_tokens, dtype=np.int64)
    t, u = num_frames, num_tokens
    while score > -np.inf and (t > 0 or u > 0):
        if emitted[t, u]:
            t, u = t - frames_per_token, u - 1
            frames[u] = t
        else:
            t -= 1
    return score, frames
