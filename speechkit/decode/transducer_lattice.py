"""Hypotheses on the beam of a transducer search, as tables of numbers, and how they grow, merge and are pruned.

The tables of N hypotheses are sorted by utterance. A sequence of labels has a 64-bit key, made from that of the sequence
without its last label, so that equal sequences are found however they arose (different ones share a key with a probability
of 2^-64). What a hypothesis emitted is a chain of rows in a :class:`History`, because the sequence alone does not say when.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

# Columns of Beam.ids: utterance, number of labels, the last one, row of the history (-1: none), keys of the sequence and of
# the sequence without its last label.
OWNER, LENGTH, TOKEN, LINK, KEY, PARENT_KEY = range(6)
# Columns of Beam.scores: log-probability of all alignments found, of the likeliest of them; what scorers and length bonus add.
MASS, BEST, ADDED = range(3)
# Columns of the history: row of the emission before, token, frame.
BEFORE, EMITTED, FRAME = range(3)


class Beam(NamedTuple):
    """N hypotheses, sorted by utterance."""

    ids: np.ndarray  # (N, 6) int64
    scores: np.ndarray  # (N, 3) float64

    def take(self, rows: np.ndarray) -> Beam:
        """Some of them: indices or booleans that keep the order of the utterances."""
        return Beam(self.ids[rows], self.scores[rows])

    def totals(self) -> np.ndarray:
        """(N,) what the search ranks by."""
        return self.scores[:, MASS] + self.scores[:, ADDED]


class Move(NamedTuple):
    """What each hypothesis may do, and the scores of it."""

    log_probs: np.ndarray  # (N, V) float64
    added: np.ndarray  # (N, V) float32, what scorers and length bonus add for each token; (0, 0) where there are none
    frames: np.ndarray  # (N,) int64 the frame where each hypothesis stands
    may_stay: np.ndarray  # (N,) bool, whether it may take a blank
    may_grow: np.ndarray  # (N,) bool, whether it may take a label
    floors: np.ndarray  # (N,) float64, a grown hypothesis that scores less is dropped


def empty_beam(batch_size: int) -> Beam:
    """One hypothesis without labels for each utterance."""
    ids = np.zeros((batch_size, 6), dtype=np.int64)
    ids[:, OWNER], ids[:, LINK] = np.arange(batch_size), -1
    return Beam(ids, np.zeros((batch_size, 3)))


class History:
    """All emissions of all hypotheses, those that left the beam included."""

    def __init__(self) -> None:
        self.rows = np.empty((1024, 3), dtype=np.int64)
        self.log_probs = np.empty(1024)
        self.count = 0

    def reserve(self, room: int) -> None:
        """Make room for so many more emissions."""
        size = len(self.rows)
        if self.count + room > size:
            size = max(2 * size, self.count + room)
            self.rows, self.log_probs = np.resize(self.rows, (size, 3)), np.resize(self.log_probs, size)

    def emissions(self, row: int) -> list[tuple[int, int, float]]:
        """The chain that ends in ``row``, in order: token, frame, probability."""
        chain = []
        while row >= 0:
            before, token, frame = self.rows[row].tolist()
            chain.append((token, frame, float(np.exp(self.log_probs[row]))))
            row = before
        return chain[::-1]


def advance(beam: Beam, move: Move, blank: int, beam_size: int, history: History) -> tuple[Beam, np.ndarray, np.ndarray]:
    """Let every hypothesis take one symbol, and keep the best of each utterance.

    A hypothesis that stays and one that grows into the same labels are one; their masses are added before anything is
    dropped. This is exact when all hypotheses of an utterance took the same number of steps.

    Returns:
        The new hypotheses, per utterance at most ``beam_size``, those that took a blank first and in their old order; for
        each the row (M,) it comes from; and the symbol (M,) it took.
    """
    history.reserve(len(beam.ids) * beam_size)  # each kept hypothesis has at most one new emission
    ids, scores, parents, tokens, history.count = _advance(
        beam, move, blank, beam_size, history.rows, history.log_probs, history.count
    )
    return Beam(ids, scores), parents, tokens


@njit(cache=True, nogil=True)
def _advance(
    beam: Beam, move: Move, blank: int, beam_size: int, history: np.ndarray, history_log_probs: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    ids, scores, log_probs = beam.ids, beam.scores, move.log_probs
    num_rows, kept = len(ids), 0
    for i in range(num_rows):
        kept += i == 0 or ids[i, OWNER] != ids[i - 1, OWNER]
    new_ids, new_scores = np.empty((kept * beam_size, 6), dtype=np.int64), np.empty((kept * beam_size, 3))
    parents, tokens = np.empty(kept * beam_size, dtype=np.int64), np.empty(kept * beam_size, dtype=np.int64)
    totals = np.empty(beam_size + 1)  # of the best candidates, best first; one more as the place to insert into
    origins = np.empty((beam_size + 1, 2), dtype=np.int64)  # their row and symbol
    stays = np.zeros(num_rows, dtype=np.bool_)
    kept = first = 0
    while first < num_rows:
        last = first + 1
        while last < num_rows and ids[last, OWNER] == ids[first, OWNER]:
            last += 1
        size = _rank(beam, move, blank, first, last, totals, origins)
        for c in range(size):
            if origins[c, 1] == blank:
                stays[origins[c, 0]] = True
        for i in range(first, last):
            if stays[i]:
                k = _shorter(beam, move, i, first, last)
                _stay(beam, move, blank, i, k, new_ids[kept], new_scores[kept])
                if k >= 0 and scores[k, BEST] + log_probs[k, ids[i, TOKEN]] > scores[i, BEST] + log_probs[i, blank]:
                    new_ids[kept, LINK] = count
                    count = _record(history, history_log_probs, count, ids[k, LINK], ids[i, TOKEN], k, move)
                parents[kept], tokens[kept] = i, blank
                kept += 1
        for c in range(size):
            i, token = origins[c, 0], origins[c, 1]
            if token != blank:
                _grow(beam, move, i, token, new_ids[kept], new_scores[kept])
                new_ids[kept, LINK] = count
                count = _record(history, history_log_probs, count, ids[i, LINK], token, i, move)
                parents[kept], tokens[kept] = i, token
                kept += 1
        first = last
    return new_ids[:kept], new_scores[:kept], parents[:kept], tokens[:kept], count


@njit(cache=True, nogil=True)
def _rank(beam: Beam, move: Move, blank: int, first: int, last: int, totals: np.ndarray, origins: np.ndarray) -> int:
    """The best candidates of the utterance in rows ``first`` ... ``last - 1``; returns how many there are."""
    ids, scores, log_probs = beam.ids, beam.scores, move.log_probs
    beam_size, size = len(totals) - 1, 0
    for i in range(first, last):
        if move.may_stay[i]:
            mass = scores[i, MASS] + log_probs[i, blank]
            k = _shorter(beam, move, i, first, last)
            if k >= 0:
                mass = np.logaddexp(mass, scores[k, MASS] + log_probs[k, ids[i, TOKEN]])
            size = _offer(totals, origins, size, mass + scores[i, ADDED], i, blank)
    for i in range(first, last):
        if not move.may_grow[i]:
            continue
        start = scores[i, MASS] + scores[i, ADDED]
        bar = max(move.floors[i], totals[size - 1] if size == beam_size else -np.inf)
        for token in range(log_probs.shape[1]):
            total = start + log_probs[i, token]
            if len(move.added) > 0:
                total += move.added[i, token]
            if total > bar and token != blank and not _has_stayed(beam, move, i, token, first, last):
                size = _offer(totals, origins, size, total, i, token)
                if size == beam_size:
                    bar = max(bar, totals[size - 1])
    return size


@njit(cache=True, nogil=True)
def _offer(totals: np.ndarray, origins: np.ndarray, size: int, total: float, row: int, token: int) -> int:
    """Insert a candidate in order; what falls behind the last of a full beam is dropped. Returns the count."""
    if not total > -np.inf:  # nan as well
        return size
    place = size
    while place > 0 and totals[place - 1] < total:
        totals[place], origins[place, 0], origins[place, 1] = totals[place - 1], origins[place - 1, 0], origins[place - 1, 1]
        place -= 1
    totals[place], origins[place, 0], origins[place, 1] = total, row, token
    return min(size + 1, len(totals) - 1)


@njit(cache=True, nogil=True)
def _shorter(beam: Beam, move: Move, i: int, first: int, last: int) -> int:
    """The hypothesis that becomes ``i`` by taking its last label, or -1."""
    for k in range(first, last):
        if move.may_grow[k] and _follows(beam, i, k):
            return k
    return -1


@njit(cache=True, nogil=True)
def _follows(beam: Beam, i: int, k: int) -> bool:
    """Whether the labels of ``i`` are those of ``k`` and one more."""
    return beam.ids[i, PARENT_KEY] == beam.ids[k, KEY] and beam.ids[i, LENGTH] == beam.ids[k, LENGTH] + 1


@njit(cache=True, nogil=True)
def _has_stayed(beam: Beam, move: Move, i: int, token: int, first: int, last: int) -> bool:
    """Whether ``i`` with ``token`` is a hypothesis that stayed, to which it was added."""
    for k in range(first, last):
        if move.may_stay[k] and beam.ids[k, TOKEN] == token and _follows(beam, k, i):
            return True
    return False


@njit(cache=True, nogil=True)
def _stay(beam: Beam, move: Move, blank: int, i: int, k: int, new_ids: np.ndarray, new_scores: np.ndarray) -> None:
    """Hypothesis ``i`` takes a blank, and ``k``, if any, joins it."""
    for column in range(6):
        new_ids[column] = beam.ids[i, column]
    for column in range(3):
        new_scores[column] = beam.scores[i, column]
    new_scores[MASS] += move.log_probs[i, blank]
    new_scores[BEST] += move.log_probs[i, blank]
    if k >= 0:
        step = move.log_probs[k, beam.ids[i, TOKEN]]
        new_scores[MASS] = np.logaddexp(new_scores[MASS], beam.scores[k, MASS] + step)
        new_scores[BEST] = max(new_scores[BEST], beam.scores[k, BEST] + step)


@njit(cache=True, nogil=True)
def _grow(beam: Beam, move: Move, i: int, token: int, new_ids: np.ndarray, new_scores: np.ndarray) -> None:
    """Hypothesis ``i`` takes a label."""
    new_ids[OWNER], new_ids[LENGTH], new_ids[TOKEN] = beam.ids[i, OWNER], beam.ids[i, LENGTH] + 1, token
    new_ids[KEY], new_ids[PARENT_KEY] = _key(beam.ids[i, KEY], token), beam.ids[i, KEY]
    new_scores[MASS] = beam.scores[i, MASS] + move.log_probs[i, token]
    new_scores[BEST] = beam.scores[i, BEST] + move.log_probs[i, token]
    new_scores[ADDED] = beam.scores[i, ADDED]
    if len(move.added) > 0:
        new_scores[ADDED] += move.added[i, token]


@njit(cache=True, nogil=True)
def _record(history: np.ndarray, log_probs: np.ndarray, count: int, before: int, token: int, row: int, move: Move) -> int:
    """Write that the hypothesis in ``row`` emits ``token`` after the emission ``before``; returns the new count."""
    history[count, BEFORE], history[count, EMITTED], history[count, FRAME] = before, token, move.frames[row]
    log_probs[count] = move.log_probs[row, token]
    return count + 1


@njit(cache=True, nogil=True)
def _key(parent: int, token: int) -> int:
    """Mixes the bits of a key and a label (Steele et al., 2014, "Fast splittable pseudorandom number generators", fig. 16)."""
    x = np.uint64(parent) + np.uint64(token + 1) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64(x ^ (x >> np.uint64(31)))


def join(one: Beam, other: Beam, beam_size: int, num_utterances: int) -> tuple[Beam, np.ndarray, np.ndarray]:
    """The best hypotheses of two beams; equal ones become one.

    Returns:
        Per utterance at most ``beam_size`` hypotheses; for each its row (M,), counted through both beams; and for each of
        the utterances (num_utterances,) the worst score on a full beam, -inf where there is room.
    """
    ids, scores = np.concatenate([one.ids, other.ids]), np.concatenate([one.scores, other.scores])
    order = np.argsort(ids[:, OWNER], kind="stable")
    beam = Beam(ids[order], scores[order])
    kept, worst = _join(beam, beam_size, num_utterances)
    return beam.take(kept), order[kept], worst


@njit(cache=True, nogil=True)
def _join(beam: Beam, beam_size: int, num_utterances: int) -> tuple[np.ndarray, np.ndarray]:
    """Merges equal hypotheses into the first of them; returns which rows are kept, and the worst of each full beam."""
    ids, scores = beam.ids, beam.scores
    kept, worst = np.zeros(len(ids), dtype=np.bool_), np.full(num_utterances, -np.inf)
    totals, origins = np.empty(beam_size + 1), np.empty((beam_size + 1, 2), dtype=np.int64)
    first = 0
    while first < len(ids):
        last = first + 1
        while last < len(ids) and ids[last, OWNER] == ids[first, OWNER]:
            last += 1
        for i in range(first, last):
            kept[i] = True
            for k in range(first, i):
                if ids[k, KEY] == ids[i, KEY] and ids[k, LENGTH] == ids[i, LENGTH]:
                    scores[k, MASS] = np.logaddexp(scores[k, MASS], scores[i, MASS])
                    if scores[i, BEST] > scores[k, BEST]:
                        scores[k, BEST], ids[k, LINK] = scores[i, BEST], ids[i, LINK]
                    kept[i] = False
                    break
        size = 0
        for i in range(first, last):
            if kept[i]:
                size = _offer(totals, origins, size, scores[i, MASS] + scores[i, ADDED], i, 0)
        kept[first:last] = False
        for c in range(size):
            kept[origins[c, 0]] = True
        if size == beam_size:
            worst[ids[first, OWNER]] = totals[size - 1]
        first = last
    return kept, worst
