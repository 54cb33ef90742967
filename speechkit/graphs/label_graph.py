"""Graphs of what may have been said in an utterance: a transcript, an n-best list, a confusion network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numba import njit

from speechkit.data.batch import Slot
from speechkit.graphs.graph import EPSILON, Graph
from speechkit.graphs.nodes import Rows, carried, hub_levels, least_frames, sorted_arcs


class Topology(NamedTuple):
    """Which frame labels a sequence of tokens may have. Any number of blanks may lie before, between and behind tokens."""

    repeats: bool  # whether a token's label may go on for more than a frame
    merges: bool  # whether equal neighbours that touch would be one token, so that a blank must lie between


TOPOLOGIES = {
    "ctc": Topology(repeats=True, merges=True),
    "hmm": Topology(repeats=True, merges=False),
    "chain": Topology(repeats=False, merges=False),
}


@dataclass(frozen=True, eq=False)
class LabelGraphs:
    """A graph for each of B utterances, N nodes in all; see :class:`speechkit.graphs.nodes.Nodes`.

    Args:
        labels: (N,) int64; :data:`EPSILON` for hubs, which follow the other nodes of their graph.
        arriving: The arcs by target, in nats.
        leaving: The arcs by source, in nats.
        initial: (N,) nats, of beginning at a node, over any hubs.
        final: (N,) nats, of ending from a node, over any hubs.
        spans: (B, 2) each utterance's first node, and the one after its last.
        no_frames: (B,) log-scores (nats) of the paths without a frame.
    """

    labels: np.ndarray
    arriving: Rows
    leaving: Rows
    initial: np.ndarray
    final: np.ndarray
    spans: np.ndarray
    no_frames: np.ndarray

    def __len__(self) -> int:
        return len(self.spans)

    @cached_property
    def num_classes(self) -> int:
        """The largest label and one: how many classes a network must have at least."""
        return int(self.labels.max(initial=-1)) + 1

    @cached_property
    def hub_levels(self) -> np.ndarray:
        """(N,) how many hubs a path may pass before it enters each hub, at most; -1 for the other nodes."""
        return hub_levels(self.labels, self.arriving)

    def least_frames(self) -> np.ndarray:
        """(B,) how many frames the shortest path has."""
        return least_frames(self.labels, self.leaving, self.initial, self.final, self.spans)


def label_graphs(utterances: Sequence[Sequence[Slot]], topology: Topology, blank_id: int = 0) -> LabelGraphs:
    """The graphs of utterances, each a sequence of slots with weighted alternatives.

    A path takes one alternative of each slot, adds its log-weight, and spells the tokens of all of them in a row: each
    choice of alternatives has all the paths that its tokens have in the topology, and no others.

    Args:
        utterances: Slots by utterance; see :class:`speechkit.data.batch.Targets`. No slots is the empty transcript.
        topology: Which labels tokens may have.
        blank_id: Id of the blank.
    """
    slots = list(chain.from_iterable(utterances))
    alternatives = list(chain.from_iterable(slots))
    tokens = np.array([*chain.from_iterable(spelled for _, spelled in alternatives)], dtype=np.int64)
    weights = np.array([weight for weight, _ in alternatives], dtype=np.float64)
    ends = _offsets([len(spelled) for _, spelled in alternatives]), _offsets(map(len, slots)), _offsets(map(len, utterances))
    data = _Data(tokens, weights, *ends, int(tokens.max(initial=0)) + 1)

    sizes = np.array([_build(data, b, *topology, blank_id, _NOTHING, 0) for b in range(len(utterances))]).reshape(-1, 3)
    num_nodes, num_arcs = sizes[:, :2].sum(1), sizes[:, 2]
    nodes, arcs = _offsets(num_nodes.tolist()), _offsets(num_arcs.tolist())
    out = _Arrays(
        labels=np.full(nodes[-1], EPSILON),
        initial=np.full(nodes[-1], -np.inf),
        final=np.full(nodes[-1], -np.inf),
        sources=np.empty(arcs[-1], dtype=np.int64),
        targets=np.empty(arcs[-1], dtype=np.int64),
        weights=np.empty(arcs[-1]),
    )
    for b in range(len(utterances)):
        n, a = slice(nodes[b], nodes[b + 1]), slice(arcs[b], arcs[b + 1])
        _build(data, b, *topology, blank_id, _Arrays(*(x[n] for x in out[:3]), *(x[a] for x in out[3:])), sizes[b, 0])
        out.sources[a] += nodes[b]
        out.targets[a] += nodes[b]
    arriving, leaving = sorted_arcs(nodes[-1], out.sources, out.targets, out.weights)
    initial, final, at_once = carried(out.labels, arriving, leaving, out.initial, out.final)
    no_frames = np.logaddexp.reduceat(at_once, nodes[:-1]) if len(utterances) else np.empty(0)
    return LabelGraphs(out.labels, arriving, leaving, initial, final, np.array([*pairwise(nodes)]).reshape(-1, 2), no_frames)


def transcript_graph(tokens: Sequence[int], topology: Topology, blank_id: int = 0) -> Graph:
    """The graph of one transcript, whose arcs say which token begins, for searches.

    Args:
        tokens: U token ids.
        topology: Which labels tokens may have.
        blank_id: Id of the blank.
    """
    ids = np.array(tokens, dtype=np.int64)
    behind, inside = 2 * np.arange(len(ids) + 1), 2 * np.arange(len(ids)) + 1  # in blanks before and after tokens, in tokens
    touching = np.flatnonzero(ids[1:] != ids[:-1]) if topology.merges else np.arange(max(len(ids) - 1, 0))
    rows = [
        (behind, behind, blank_id, EPSILON),
        (behind[:-1], inside, ids, ids),
        (inside, behind[1:], blank_id, EPSILON),
        (inside[touching], inside[touching + 1], ids[touching + 1], ids[touching + 1]),
    ]
    if topology.repeats:
        rows.append((inside, inside, ids, EPSILON))
    sources, targets, labels, outputs = (np.concatenate(column) for column in zip(*(np.broadcast_arrays(*row) for row in rows)))
    initial, final = np.full((2, 2 * len(ids) + 1), -np.inf)
    initial[0], final[-2:] = 0.0, 0.0
    return Graph(sources, targets, labels, np.zeros(len(labels)), outputs, initial, final)


def _offsets(counts: Sequence[int]) -> np.ndarray:
    return np.array([0, *counts], dtype=np.int64).cumsum()


class _Data(NamedTuple):
    """The slots of all utterances."""

    tokens: np.ndarray
    weights: np.ndarray  # of each alternative
    token_offsets: np.ndarray  # of each alternative
    alternative_offsets: np.ndarray  # of each slot
    slot_offsets: np.ndarray  # of each utterance
    num_labels: int


class _Arrays(NamedTuple):
    """Where the graph of an utterance is written."""

    labels: np.ndarray
    initial: np.ndarray
    final: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


_NOTHING = _Arrays(*(np.empty(0, dtype=kind) for kind in (np.int64, np.float64, np.float64, np.int64, np.int64, np.float64)))


@njit(cache=True)
def _arc(out: _Arrays, num_arcs: int, source: int, target: int, weight: float) -> int:
    if len(out.sources):
        out.sources[num_arcs], out.targets[num_arcs], out.weights[num_arcs] = source, target, weight
    return num_arcs + 1


@njit(cache=True)
def _emits(out: _Arrays, num_emitting: int, label: int) -> int:
    if len(out.labels):
        out.labels[num_emitting] = label
    return num_emitting + 1


@njit(cache=True)
def _build(
    data: _Data, b: int, repeats: bool, merges: bool, blank: int, out: _Arrays, first_hub: int
) -> tuple[int, int, int]:
    """Write the graph of an utterance, or only count its emitting nodes, hubs and arcs if ``out`` is empty.

    At the border before each slot (and behind the last one) are a node for blanks, a hub for paths that are in blanks or
    have not begun, and a hub for those that come right from a token: where equal neighbours must not touch, one for each
    token. Blanks are taken at the border where the token before them ended, not behind slots that were left out, so that
    each path is there once.
    """
    e, h, a = _emits(out, 0, blank), 1, 0
    blank_node, rested = 0, first_hub
    a = _arc(out, a, blank_node, blank_node, 0.0)
    a = _arc(out, a, blank_node, rested, 0.0)
    if len(out.labels):
        out.initial[blank_node] = 0.0
    touching = np.full(data.num_labels, -1)  # for each token the hub of paths that come right from it
    for slot in range(data.slot_offsets[b], data.slot_offsets[b + 1]):
        next_blank, next_rested = e, first_hub + h
        e, h = _emits(out, e, blank), h + 1
        a = _arc(out, a, next_blank, next_blank, 0.0)
        a = _arc(out, a, next_blank, next_rested, 0.0)
        next_touching = np.full(data.num_labels, -1)
        for k in range(data.alternative_offsets[slot], data.alternative_offsets[slot + 1]):
            weight, first, last = data.weights[k], data.token_offsets[k], data.token_offsets[k + 1]
            if first == last:
                a = _arc(out, a, rested, next_rested, weight)
                for key in np.flatnonzero(touching >= 0):
                    if next_touching[key] < 0:
                        next_touching[key], h = first_hub + h, h + 1
                    a = _arc(out, a, touching[key], next_touching[key], weight)
                continue
            a = _arc(out, a, rested, e, weight)
            for key in np.flatnonzero(touching >= 0):
                if not merges or key != data.tokens[first]:
                    a = _arc(out, a, touching[key], e, weight)
            e, a = _spell(out, e, a, data.tokens[first:last], repeats, merges, blank)
            a = _arc(out, a, e - 1, next_blank, 0.0)
            key = data.tokens[last - 1] if merges else 0
            if next_touching[key] < 0:
                next_touching[key], h = first_hub + h, h + 1
            a = _arc(out, a, e - 1, next_touching[key], 0.0)
        rested, touching = next_rested, next_touching
    if len(out.labels):
        out.final[rested] = 0.0
        for key in np.flatnonzero(touching >= 0):
            out.final[touching[key]] = 0.0
    return e, h, a


@njit(cache=True)
def _spell(
    out: _Arrays, e: int, a: int, tokens: np.ndarray, repeats: bool, merges: bool, blank: int
) -> tuple[int, int]:
    """Nodes from ``e`` on for some tokens with a blank between each two; the last token's node is the last one."""
    for place, token in enumerate(tokens):
        if place:
            a = _arc(out, a, e - 1, e, 0.0)  # to the blank
            a = _arc(out, a, e, e, 0.0)
            a = _arc(out, a, e, e + 1, 0.0)
            if not merges or token != tokens[place - 1]:
                a = _arc(out, a, e - 1, e + 1, 0.0)
            e = _emits(out, e, blank)
        if repeats:
            a = _arc(out, a, e, e, 0.0)
        e = _emits(out, e, token)
    return e, a
