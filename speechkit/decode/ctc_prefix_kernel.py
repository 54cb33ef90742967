"""The compiled part of the CTC prefix beam search: the prefixes of one utterance, from one frame to the next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

# Columns of the trie that names prefixes: a row per prefix, row 0 the empty one, absent links -1.
# SLOT is the prefix's place on the current beam.
PARENT, TOKEN, CHILD, SIBLING, SLOT = range(5)
STAY = -1  # in place of a token: the candidate is the prefix itself


class Beam(NamedTuple):
    """The prefixes that the search holds, best first."""

    trie: np.ndarray  # (N, 5)
    num_nodes: int  # rows of the trie in use
    nodes: np.ndarray  # (K,) rows of the trie
    mass: np.ndarray  # (K, 2) log-probability of the paths that end in a blank, in the last token


class Gains(NamedTuple):
    """What scorers add; without any the arrays have no rows."""

    totals: np.ndarray  # (K,) float64, to the prefixes on the beam
    rows: np.ndarray  # (K,) their rows in what follows
    tokens: np.ndarray  # (N, V) float32, for one more token
    best: np.ndarray  # (N,) float32, the most that any token adds


class _Candidates(NamedTuple):
    """The prefixes of the next frame, best first; one row more than the beam, as the place to insert into."""

    scores: np.ndarray  # (K + 1, 3) score, log-probability of the paths that end in a blank, in the last token
    origins: np.ndarray  # (K + 1, 2) place on the old beam; new token or STAY


NO_GAINS = Gains(np.empty(0), np.empty(0, np.int64), np.empty((0, 0), np.float32), np.empty(0, np.float32))


def spell(trie: np.ndarray, node: int) -> list[int]:
    """The tokens of a prefix."""
    tokens = []
    while node > 0:
        tokens.append(int(trie[node, TOKEN]))
        node = trie[node, PARENT]
    return tokens[::-1]


@njit(cache=True, nogil=True)
def start(num_frames: int, beam_size: int) -> Beam:
    """The beam before the first frame: the empty prefix."""
    trie = np.full((1 + beam_size * num_frames, 5), -1, dtype=np.int64)
    trie[0, SLOT] = 0
    return Beam(trie, 1, np.zeros(1, dtype=np.int64), np.array([[0.0, -np.inf]]))


@njit(cache=True, nogil=True)
def search(
    log_probs: np.ndarray, ranked: np.ndarray, blank: int, beam_size: int, floor: float, no_gains: Gains
) -> Beam:
    """The beam after all frames (S, V), without scorers."""
    beam = start(len(log_probs), beam_size)
    for t in range(len(log_probs)):
        beam, _ = step(beam, log_probs[t], ranked[t], blank, beam_size, floor, no_gains)
    return beam


@njit(cache=True, nogil=True)
def step(
    beam: Beam, frame: np.ndarray, ranked: np.ndarray, blank: int, beam_size: int, floor: float, gains: Gains
) -> tuple[Beam, np.ndarray]:
    """One frame.

    Args:
        beam: Its trie is changed.
        frame: (V,) log-probabilities (nats).
        ranked: (C,) tokens to look at, best first.
        blank: Id of the blank.
        beam_size: K.
        floor: Nats; less likely tokens start no new prefix, unless they are the frame's best.
        gains: Of the scorers.

    Returns:
        The beam of the next frame, and (K, 2) where its prefixes come from: place on the old one, new token or STAY.
    """
    candidates = _Candidates(np.empty((beam_size + 1, 3)), np.empty((beam_size + 1, 2), dtype=np.int64))
    count = _offer_stays(candidates, beam, frame, blank, gains)
    count = _offer_extensions(candidates, count, beam, frame, ranked, blank, floor, gains)
    trie, num_nodes, nodes = beam.trie, beam.num_nodes, np.empty(count, dtype=np.int64)
    for k in range(count):
        node, token = beam.nodes[candidates.origins[k, 0]], candidates.origins[k, 1]
        nodes[k] = node if token == STAY else _child(trie, node, token)
        if nodes[k] == -1:
            nodes[k] = num_nodes
            num_nodes += 1
            _add_child(trie, node, token, nodes[k])
    trie[beam.nodes, SLOT] = -1
    trie[nodes, SLOT] = np.arange(count)
    return Beam(trie, num_nodes, nodes, candidates.scores[:count, 1:].copy()), candidates.origins[:count]


@njit(cache=True, nogil=True)
def _offer_stays(candidates: _Candidates, beam: Beam, frame: np.ndarray, blank: int, gains: Gains) -> int:
    """Each prefix itself, with the paths that now spell it because its parent, also on the beam, got its last token."""
    count = 0
    for k in range(len(beam.nodes)):
        ending_blank = np.logaddexp(beam.mass[k, 0], beam.mass[k, 1]) + frame[blank]
        ending_token = -np.inf
        if beam.nodes[k] > 0:
            token, parent = beam.trie[beam.nodes[k], TOKEN], beam.trie[beam.nodes[k], PARENT]
            ending_token = beam.mass[k, 1] + frame[token]
            if beam.trie[parent, SLOT] >= 0:
                ending_token = np.logaddexp(ending_token, _extend(beam, beam.trie[parent, SLOT], token, frame))
        gain = gains.totals[k] if len(gains.totals) else 0.0
        count = _offer(candidates, count, gain, ending_blank, ending_token, k, STAY)
    return count


@njit(cache=True, nogil=True)
def _offer_extensions(
    candidates: _Candidates,
    count: int,
    beam: Beam,
    frame: np.ndarray,
    tokens: np.ndarray,
    blank: int,
    floor: float,
    gains: Gains,
) -> int:
    """The prefixes that are not on the beam yet: each one on it with one token more."""
    beam_size = len(candidates.scores) - 1
    floor = min(floor, frame[tokens[0]])
    for k in range(len(beam.nodes)):
        total = np.logaddexp(beam.mass[k, 0], beam.mass[k, 1])
        row, gain = -1, 0.0
        if len(gains.totals):
            row, gain = gains.rows[k], gains.totals[k]
            total += gain + gains.best[row]
        for token in tokens:  # best first: after the first that is too unlikely come only worse ones
            full = count == beam_size and total + frame[token] <= candidates.scores[count - 1, 0]
            if full or frame[token] < floor:
                break
            child = _child(beam.trie, beam.nodes[k], token)
            if token != blank and (child == -1 or beam.trie[child, SLOT] == -1):
                added = gain if row < 0 else gain + gains.tokens[row, token]
                count = _offer(candidates, count, added, -np.inf, _extend(beam, k, token, frame), k, token)
    return count


@njit(cache=True, nogil=True)
def _extend(beam: Beam, k: int, token: int, frame: np.ndarray) -> float:
    """Log-probability of the paths of prefix ``k`` that get longer by ``token``: after itself only behind a blank."""
    if beam.nodes[k] > 0 and beam.trie[beam.nodes[k], TOKEN] == token:
        return beam.mass[k, 0] + frame[token]
    return np.logaddexp(beam.mass[k, 0], beam.mass[k, 1]) + frame[token]


@njit(cache=True, nogil=True)
def _offer(
    candidates: _Candidates, count: int, gain: float, ending_blank: float, ending_token: float, origin: int, token: int
) -> int:
    """Insert a possible prefix in order; what falls behind the last of a full beam is dropped. Returns the count."""
    scores, origins = candidates
    total = np.logaddexp(ending_blank, ending_token) + gain
    if total == -np.inf:
        return count
    place = count
    while place > 0 and scores[place - 1, 0] < total:
        scores[place], origins[place] = scores[place - 1], origins[place - 1]
        place -= 1
    scores[place, 0], scores[place, 1], scores[place, 2] = total, ending_blank, ending_token
    origins[place, 0], origins[place, 1] = origin, token
    return min(count + 1, len(scores) - 1)


@njit(cache=True, nogil=True)
def _child(trie: np.ndarray, node: int, token: int) -> int:
    child = trie[node, CHILD]
    while child != -1 and trie[child, TOKEN] != token:
        child = trie[child, SIBLING]
    return child


@njit(cache=True, nogil=True)
def _add_child(trie: np.ndarray, node: int, token: int, child: int) -> None:
    trie[child, PARENT], trie[child, TOKEN] = node, token
    trie[child, SIBLING], trie[node, CHILD] = trie[node, CHILD], child
