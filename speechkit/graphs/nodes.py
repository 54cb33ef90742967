"""Graphs in the form that sums over paths are computed in: labels on nodes, arcs by the node that they enter or leave."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from speechkit.graphs.graph import EPSILON, Graph


class Rows(NamedTuple):
    """Arcs grouped by the node at one end: those of node n are ``offsets[n]`` to ``offsets[n + 1]``."""

    offsets: np.ndarray  # (N + 1,) int64
    nodes: np.ndarray  # (M,) int32, the node at the other end
    weights: np.ndarray  # (M,) float64


@dataclass(frozen=True, eq=False)
class Nodes:
    """N nodes of which the first E emit: who enters one takes a frame with its label. The others, the hubs, take none.

    As every arc into a node has the same label, a step of the forward recursion is a product of a sparse matrix with the
    vector of the frame before, and then of each element with the probability of its node's label.

    Args:
        labels: (N,) int64, ascending over the first E nodes; :data:`EPSILON` for hubs. Arcs lead from hubs to later hubs only.
        arriving: The arcs by target, in nats.
        leaving: The arcs by source, in nats.
        initial: (N,) nats, of beginning at a node, over any hubs.
        final: (N,) nats, of ending from a node, over any hubs.
        no_frames: Log-score (nats) of the paths without a frame.
        graph: What they were made of.
    """

    labels: np.ndarray
    arriving: Rows
    leaving: Rows
    initial: np.ndarray
    final: np.ndarray
    no_frames: float
    graph: Graph

    @property
    def num_nodes(self) -> int:
        """N."""
        return len(self.labels)

    @cached_property
    def num_emitting(self) -> int:
        """E."""
        return int((self.labels >= 0).sum())

    @property
    def num_arcs(self) -> int:
        """M."""
        return len(self.arriving.nodes)

    @cached_property
    def classes(self) -> np.ndarray:
        """(C,) the labels that occur, ascending."""
        return np.unique(self.labels[: self.num_emitting])

    @cached_property
    def class_offsets(self) -> np.ndarray:
        """(C + 1,) the nodes of the c-th class are those from ``class_offsets[c]`` to ``class_offsets[c + 1]``."""
        return np.append(np.searchsorted(self.labels[: self.num_emitting], self.classes), self.num_emitting)

    @cached_property
    def columns(self) -> np.ndarray:
        """(N,) the place of each node's label in :attr:`classes`; :data:`EPSILON` for hubs."""
        return np.where(self.labels >= 0, np.searchsorted(self.classes, self.labels), EPSILON)

    @cached_property
    def hub_levels(self) -> np.ndarray:
        """(N,) how many hubs a path may pass before it enters each hub, at most; -1 for the other nodes."""
        return hub_levels(self.labels, self.arriving)

    def least_frames(self) -> int:
        """How many frames the shortest path has."""
        span = np.array([[0, self.num_nodes]])
        return int(least_frames(self.labels, self.leaving, self.initial, self.final, span)[0])

    @cached_property
    def arriving_probs(self) -> Rows:
        """:attr:`arriving` with probabilities for weights."""
        return self.arriving._replace(weights=np.exp(self.arriving.weights))

    @cached_property
    def leaving_probs(self) -> Rows:
        """:attr:`leaving` with probabilities for weights."""
        return self.leaving._replace(weights=np.exp(self.leaving.weights))

    @cached_property
    def initial_probs(self) -> tuple[np.ndarray, float]:
        """``exp(initial - shift)`` and the shift, the largest one."""
        return np.exp(self.initial - self.initial.max()), float(self.initial.max())

    @cached_property
    def final_probs(self) -> tuple[np.ndarray, float]:
        """``exp(final - shift)`` and the shift, the largest one."""
        return np.exp(self.final - self.final.max()), float(self.final.max())

    @classmethod
    def of(cls, graph: Graph) -> Nodes:
        """The nodes of a graph.

        A state that is entered with one label only, and not by epsilon, is a node. Any other is a hub, entered from a
        node for each of the labels.
        """
        emits = graph.labels != EPSILON
        # A node for each pair of label and state that an arc enters with it.
        size = graph.num_states
        keys, entered = np.unique(graph.labels[emits] * size + graph.targets[emits], return_inverse=True)
        labels, states = np.divmod(keys, size)
        merged = (np.bincount(states, minlength=size) != 1) | np.isin(np.arange(size), graph.targets[~emits])
        hubs = np.flatnonzero(merged)
        hubs = hubs[np.argsort(graph.epsilon_ranks[hubs], kind="stable")]
        place = np.empty(size, dtype=np.int64)  # the node from which the arcs of a state leave
        place[states] = np.arange(len(keys))
        place[hubs] = len(keys) + np.arange(len(hubs))
        to_hub = np.flatnonzero(merged[states])

        targets = place[graph.targets]
        targets[emits] = entered
        sources = np.concatenate([place[graph.sources], to_hub])
        targets = np.concatenate([targets, place[states[to_hub]]])
        weights = np.concatenate([graph.weights, np.zeros(len(to_hub))])
        initial, final = np.full((2, len(keys) + len(hubs)), -np.inf)
        initial[place], final[place] = graph.initial, graph.final
        labels = np.concatenate([labels, np.full(len(hubs), EPSILON)])
        arriving, leaving = sorted_arcs(len(labels), sources, targets, weights)
        initial, over_hubs, at_once = carried(labels, arriving, leaving, initial, final)
        no_frames = float(np.logaddexp.reduce(at_once, initial=-np.inf))
        return cls(labels, arriving, leaving, initial, over_hubs, no_frames, graph)


def sorted_arcs(num_nodes: int, sources: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tuple[Rows, Rows]:
    """The arcs by target and by source."""
    return _rows(num_nodes, targets, sources, weights), _rows(num_nodes, sources, targets, weights)


def _rows(num_nodes: int, here: np.ndarray, there: np.ndarray, weights: np.ndarray) -> Rows:
    order = np.lexsort((there, here))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(here, minlength=num_nodes))])
    return Rows(offsets.astype(np.int64), there[order].astype(np.int32), np.ascontiguousarray(weights[order]))


@njit(cache=True)
def carried(
    labels: np.ndarray, arriving: Rows, leaving: Rows, initial: np.ndarray, final: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Initial and final weights carried over hubs, and at each node the log-score of beginning and ending there at once."""
    over, after = initial.copy(), final.copy()
    for n in range(len(labels)):
        if labels[n] < 0:
            for k in range(arriving.offsets[n], arriving.offsets[n + 1]):
                over[n] = np.logaddexp(over[n], arriving.weights[k] + over[arriving.nodes[k]])
    at_once = over + final
    for hubs in (True, False):  # nodes that emit lead to hubs, and hubs to later ones
        for n in range(len(labels) - 1, -1, -1):
            if (labels[n] < 0) == hubs:
                for k in range(leaving.offsets[n], leaving.offsets[n + 1]):
                    if labels[leaving.nodes[k]] < 0:
                        after[n] = np.logaddexp(after[n], leaving.weights[k] + after[leaving.nodes[k]])
    return over, after, at_once


@njit(cache=True)
def hub_levels(labels: np.ndarray, arriving: Rows) -> np.ndarray:
    """For each hub the length of the longest chain of hubs before it; -1 for the other nodes."""
    levels = np.full(len(labels), -1)
    for n in range(len(labels)):
        if labels[n] < 0:
            levels[n] = 0
            for k in range(arriving.offsets[n], arriving.offsets[n + 1]):
                levels[n] = max(levels[n], levels[arriving.nodes[k]] + 1)
    return levels


@njit(cache=True)
def least_frames(
    labels: np.ndarray, leaving: Rows, initial: np.ndarray, final: np.ndarray, spans: np.ndarray
) -> np.ndarray:
    """How many frames the shortest path of each graph has, (B,); the largest integer where there is no path.

    Args:
        labels: (N,) below 0 for hubs.
        leaving: The arcs by source.
        initial: (N,) ``-inf`` where no path begins.
        final: (N,) ``-inf`` where no path ends.
        spans: (B, 2) each graph's first node, and the one after its last.
    """
    never = np.iinfo(np.int64).max
    least, frames = np.full(len(spans), never), np.full(len(labels), never)
    queue = np.empty((2, 2 * len(labels)), dtype=np.int64)
    for b in range(len(spans)):
        count, now = 0, 0
        for n in range(spans[b, 0], spans[b, 1]):
            if initial[n] > -np.inf:
                queue[0, count], frames[n], count = n, 0, count + 1
        while count:  # all nodes that are reached in ``now`` frames, then those in one more
            place, count_next = 0, 0
            while place < count:
                n, place = queue[now % 2, place], place + 1
                if frames[n] < now:
                    continue
                if final[n] > -np.inf:
                    least[b] = min(least[b], now)
                for k in range(leaving.offsets[n], leaving.offsets[n + 1]):
                    other = leaving.nodes[k]
                    takes = 1 if labels[other] >= 0 else 0
                    if leaving.weights[k] > -np.inf and now + takes < frames[other]:
                        frames[other] = now + takes
                        if takes:
                            queue[(now + 1) % 2, count_next], count_next = other, count_next + 1
                        else:
                            queue[now % 2, count], count = other, count + 1
            now, count = now + 1, count_next
    return least
