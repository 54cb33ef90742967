"""CTC prefix beam search: the likeliest token sequences, each with the probability of all the paths that spell it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from pydantic import Field, model_validator

from speechkit.decode.base import FrameSearch, Hypothesis
from speechkit.decode.ctc_alignment import align

# Columns of the trie that names prefixes: a row per prefix, row 0 the empty one, absent links -1.
# SLOT is the prefix's place on the current beam.
PARENT, TOKEN, CHILD, SIBLING, SLOT = range(5)
STAY = -1  # in place of a token: the candidate is the prefix itself


class _Beam(NamedTuple):
    """The prefixes that the search holds, best first."""

    trie: np.ndarray  # (N, 5)
    nodes: np.ndarray  # (K,) rows of the trie
    mass: np.ndarray  # (K, 2) log-probability of the paths that end in a blank, in the last token


class _Candidates(NamedTuple):
    """The prefixes of the next frame, best first; one row more than the beam, as the place to insert into."""

    scores: np.ndarray  # (K + 1, 3) log-probability of all paths, of those that end in a blank, in the last token
    origins: np.ndarray  # (K + 1, 2) place on the old beam; new token or STAY


class CtcPrefixBeamSearch(FrameSearch, name="ctc_prefix_beam"):
    """Prefix search (Graves 2006, section 3.2) with a beam (Hannun et al. 2014, arXiv:1408.2873, algorithm 1).

    A prefix keeps two probabilities, of the paths that spell it and end in a blank, and of those that end in its last
    token. With c the last token of h and h' the prefix without it::

        p_blank(t, h) = p(t, blank) * (p_blank(t-1, h) + p_token(t-1, h))
        p_token(t, h) = p(t, c) * (p_token(t-1, h) + p_blank(t-1, h') + [c is not the last of h'] * p_token(t-1, h'))

    so paths that spell the same prefix are always added up, also where a prefix left the beam and came back.
    ``score`` is the logarithm of that sum: log p(tokens | audio) when the beam is wide enough to hold all prefixes,
    else a lower bound of it. With one prefix on the beam it is not the greedy search (that one follows a path, this
    one the sum of several), but the two agree where every frame has a token of probability 3/4 or more.

    Token times and confidences are those of the likeliest single path that spells the tokens.
    """

    class Config(FrameSearch.Config):
        """Options of the CTC prefix beam search."""

        beam_size: int = Field(10, ge=1)
        """Prefixes kept after each frame."""
        nbest: int = Field(1, ge=1)
        """Hypotheses returned, at most; no more than beam_size."""
        min_token_prob: float = Field(0.0, ge=0.0, lt=1.0)
        """A token less probable than this in a frame, and not its best one, starts no new prefix there; 0: all do."""

        @model_validator(mode="after")
        def _nbest_fits_the_beam(self) -> CtcPrefixBeamSearch.Config:
            if self.nbest > self.beam_size:
                raise ValueError(f"nbest: expected at most beam_size = {self.beam_size}, got {self.nbest}")
            return self

    def search(self, log_probs: np.ndarray) -> list[Hypothesis]:
        """Search one utterance: (S, V) log-probabilities -> the n-best."""
        beam_size, min_prob = self.config.beam_size, self.config.min_token_prob
        floor = math.log(min_prob) if min_prob > 0 else -math.inf
        ranked = _ranked_tokens(log_probs, 2 * beam_size + 1)
        beam = _search(log_probs, ranked, self.blank_id, beam_size, floor)
        scores = np.logaddexp(beam.mass[:, 0], beam.mass[:, 1]).tolist()
        best = list(zip(beam.nodes.tolist(), scores))[: self.config.nbest]
        return [self._hypothesis(_spell(beam.trie, node), score, log_probs) for node, score in best]

    def _hypothesis(self, tokens: list[int], score: float, log_probs: np.ndarray) -> Hypothesis:
        _, times, confidences = align(log_probs, tokens, self.blank_id)
        return Hypothesis(tokens, score, {"ctc": score}, times, confidences)


def _ranked_tokens(log_probs: np.ndarray, limit: int) -> np.ndarray:
    """(S, C) the likeliest tokens of each frame, best first.

    With K prefixes on the beam, ``limit`` = 2K + 1 of them lose nothing: at most K extensions of one prefix get on the
    next beam, and at most K + 1 tokens before them are no such extension (the blank, the repeated last token, and
    those that lead to the K - 1 other prefixes).
    """
    return torch.from_numpy(log_probs).topk(min(limit, log_probs.shape[1]), dim=-1).indices.numpy()


def _spell(trie: np.ndarray, node: int) -> list[int]:
    tokens = []
    while node > 0:
        tokens.append(int(trie[node, TOKEN]))
        node = trie[node, PARENT]
    return tokens[::-1]


@njit(cache=True, nogil=True)
def _search(log_probs: np.ndarray, ranked: np.ndarray, blank: int, beam_size: int, floor: float) -> _Beam:
    trie = np.full((1 + beam_size * len(log_probs), 5), -1, dtype=np.int64)
    trie[0, SLOT] = 0
    num_nodes = 1
    beam = _Beam(trie, np.zeros(1, dtype=np.int64), np.array([[0.0, -np.inf]]))
    candidates = _Candidates(np.empty((beam_size + 1, 3)), np.empty((beam_size + 1, 2), dtype=np.int64))
    for t in range(len(log_probs)):
        count = _offer_stays(candidates, beam, log_probs[t], blank)
        count = _offer_extensions(candidates, count, beam, log_probs[t], ranked[t], blank, floor)
        nodes = np.empty(count, dtype=np.int64)
        for k in range(count):
            node, token = beam.nodes[candidates.origins[k, 0]], candidates.origins[k, 1]
            nodes[k] = node if token == STAY else _child(trie, node, token)
            if nodes[k] == -1:
                nodes[k] = num_nodes
                num_nodes += 1
                _add_child(trie, node, token, nodes[k])
        trie[beam.nodes, SLOT] = -1
        trie[nodes, SLOT] = np.arange(count)
        beam = _Beam(trie, nodes, candidates.scores[:count, 1:].copy())
    return beam


@njit(cache=True, nogil=True)
def _offer_stays(candidates: _Candidates, beam: _Beam, frame: np.ndarray, blank: int) -> int:
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
        count = _offer(candidates, count, ending_blank, ending_token, k, STAY)
    return count


@njit(cache=True, nogil=True)
def _offer_extensions(
    candidates: _Candidates,
    count: int,
    beam: _Beam,
    frame: np.ndarray,
    tokens: np.ndarray,
    blank: int,
    floor: float,
) -> int:
    """The prefixes that are not on the beam yet: each one on it with one token more."""
    beam_size = len(candidates.scores) - 1
    floor = min(floor, frame[tokens[0]])
    for k in range(len(beam.nodes)):
        total = np.logaddexp(beam.mass[k, 0], beam.mass[k, 1])
        for token in tokens:  # best first: after the first that is too unlikely come only worse ones
            full = count == beam_size and total + frame[token] <= candidates.scores[count - 1, 0]
            if full or frame[token] < floor:
                break
            child = _child(beam.trie, beam.nodes[k], token)
            if token != blank and (child == -1 or beam.trie[child, SLOT] == -1):
                count = _offer(candidates, count, -np.inf, _extend(beam, k, token, frame), k, token)
    return count


@njit(cache=True, nogil=True)
def _extend(beam: _Beam, k: int, token: int, frame: np.ndarray) -> float:
    """Log-probability of the paths of prefix ``k`` that get longer by ``token``: after itself only behind a blank."""
    if beam.nodes[k] > 0 and beam.trie[beam.nodes[k], TOKEN] == token:
        return beam.mass[k, 0] + frame[token]
    return np.logaddexp(beam.mass[k, 0], beam.mass[k, 1]) + frame[token]


@njit(cache=True, nogil=True)
def _offer(
    candidates: _Candidates, count: int, ending_blank: float, ending_token: float, origin: int, token: int
) -> int:
    """Insert a possible prefix in order; what falls behind the last of a full beam is dropped. Returns the count."""
    scores, origins = candidates
    total = np.logaddexp(ending_blank, ending_token)
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
