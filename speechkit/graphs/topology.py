"""Topologies: which frame labels a sequence of tokens may have, as transducers from labels to tokens.

The labels of all graphs are token ids plus one, because 0 is the epsilon of transducers.
"""

from __future__ import annotations

import numpy as np

from speechkit.graphs.wfst import EPSILON, Wfst


def label(token_ids: np.ndarray | int) -> np.ndarray | int:
    """The label of a token in a graph."""
    return token_ids + 1


def ctc_topology(size: int, blank_id: int = 0) -> Wfst:
    """CTC: any number of blanks around tokens, each token any number of frames, a blank between equal neighbours.

    State 0 is reached by a blank, and state k by the k-th of the other tokens; all can end. From each state all tokens
    but its own begin anew, so there are ``size ** 2`` arcs.

    Args:
        size: V, blank included.
        blank_id: Id of the blank.
    """
    # Arrays at once instead of a list of arcs: 4,000 characters make 16 million arcs.
    tokens = np.array([blank_id, *(token for token in range(size) if token != blank_id)], dtype=np.int32)
    states = np.arange(size, dtype=np.int32)
    ilabels = np.tile(label(tokens), size)
    olabels = np.where((states[:, None] == states) | (states == 0), np.int32(EPSILON), label(tokens)).ravel()
    free = np.zeros(size, dtype=np.float32)
    return Wfst(np.arange(size + 1) * size, ilabels, olabels, np.tile(free, size), np.tile(states, size), free)


def hmm_topology(size: int, blank_id: int = 0) -> Wfst:
    """One state per token that lasts a frame or more; no blanks. The blank has no arc, so no path goes through it.

    Equal neighbours need no frame between them: they are told apart by the path, not by the labels.

    Args:
        size: V, blank included.
        blank_id: Id of the blank.
    """
    tokens = np.array([token for token in range(size) if token != blank_id])
    states = np.arange(1, size)
    begin = [(0, state, label(token), label(token), 0.0) for state, token in zip(states, tokens)]
    stay = [(state, state, label(token), EPSILON, 0.0) for state, token in zip(states, tokens)]
    leave = [(state, 0, EPSILON, EPSILON, 0.0) for state in states]
    return Wfst.from_arcs([*begin, *stay, *leave], dict.fromkeys(range(size), 0.0))


TOPOLOGIES = {"ctc": ctc_topology, "hmm": hmm_topology}
"""By the name that ``speechkit graph --topology`` takes."""
