"""Weighted graphs over frame labels: what frame-synchronous objectives sum over and searches walk through."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numba import njit
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from speechkit.utils.files import atomic_path

EPSILON = -1
"""The label of an arc that takes no frame, and the output of an arc that begins no token."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A weighted acceptor of frame labels: Q states, A arcs. A path through S frames takes S labelled arcs, each of which
    scores its weight and what the network gives its label in that frame, and any number of epsilon arcs; with the
    initial weight of its first state and the final weight of its last one that is the score of the path.

    Args:
        sources: (A,) int64 the state that each arc leaves.
        targets: (A,) int64 the state that it enters.
        labels: (A,) int64 class of the network, or :data:`EPSILON`.
        weights: (A,) float64 log-weights (nats).
        outputs: (A,) int64 the token that begins with the arc, or :data:`EPSILON`; what a search puts out.
        initial: (Q,) float64 log-weights of beginning in a state; ``-inf`` where no path begins.
        final: (Q,) float64 log-weights of ending in a state; ``-inf`` where no path ends.

    Raises:
        ValueError: A weight is NaN or ``+inf``, an arc's end is no state, epsilon arcs form a cycle, or no path leads from an
            initial to a final state.
    """

    sources: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray
    initial: np.ndarray
    final: np.ndarray

    def __post_init__(self) -> None:
        for field in fields(self):
            kind = np.float64 if field.name in ("weights", "initial", "final") else np.int64
            object.__setattr__(self, field.name, np.ascontiguousarray(getattr(self, field.name), dtype=kind))
        self._check_arrays()
        self._check_cycles()
        if not self.useful.any():
            raise ValueError(
                f"graph: expected a path from an initial to a final state, got none among {self.num_states} states; "
                "look at the initial and final weights, and at the language model that it was made of"
            )

    @property
    def num_states(self) -> int:
        """Q."""
        return len(self.initial)

    @property
    def num_arcs(self) -> int:
        """A."""
        return len(self.weights)

    @property
    def num_classes(self) -> int:
        """The largest label and one: how many classes a network must have at least."""
        return int(self.labels.max(initial=-1)) + 1

    def check_classes(self, size: int) -> None:
        """Refuse a network with fewer classes than the labels need.

        Args:
            size: V, classes of the network.
        """
        if self.num_classes > size:
            raise ValueError(
                f"graph: expected labels below {size}, the classes of the network, got {self.num_classes - 1}; "
                "make the graph with this model's tokenizer"
            )

    @cached_property
    def useful(self) -> np.ndarray:
        """(Q,) bool: the states on a path from an initial to a final state."""
        arcs = self.weights > -np.inf
        ends = self.sources[arcs], self.targets[arcs]
        return _reached(self.initial > -np.inf, *ends) & _reached(self.final > -np.inf, *ends[::-1])

    @cached_property
    def epsilon_ranks(self) -> np.ndarray:
        """(Q,) length of the longest chain of epsilon arcs into each state; epsilon arcs lead to higher ranks."""
        epsilon = self.labels == EPSILON
        return _ranks(self.num_states, self.sources[epsilon], self.targets[epsilon])

    def trimmed(self) -> Graph:
        """The graph without the states that are on no path, and without their arcs."""
        states = self.useful
        arcs = states[self.sources] & states[self.targets] & (self.weights > -np.inf)
        number = np.cumsum(states) - 1
        return Graph(
            sources=number[self.sources[arcs]],
            targets=number[self.targets[arcs]],
            labels=self.labels[arcs],
            weights=self.weights[arcs],
            outputs=self.outputs[arcs],
            initial=self.initial[states],
            final=self.final[states],
        )

    def save(self, path: Path | str) -> None:
        """Write the arrays as safetensors."""
        with atomic_path(path) as partial:
            save_file({field.name: getattr(self, field.name) for field in fields(self)}, partial)

    @classmethod
    def load(cls, path: Path | str) -> Graph:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: The file is missing, no graph, or its graph is not valid; the message names it.
        """
        try:
            return cls(**load_file(path))
        except (OSError, SafetensorError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: expected a graph, got {error}; restore it from a copy, or start a new experiment") from error

    def _check_arrays(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        for name in ("sources", "targets", "labels", "outputs"):
            if lengths[name] != self.num_arcs:
                raise ValueError(f"graph: {name}: expected {self.num_arcs}, one per weight, got {lengths[name]}")
        if lengths["final"] != self.num_states:
            raise ValueError(f"graph: final: expected {self.num_states}, one per initial weight, got {lengths['final']}")
        for name in ("weights", "initial", "final"):
            values = getattr(self, name)
            if not (values < np.inf).all():  # false for NaN as well
                place = int(np.flatnonzero(~(values < np.inf))[0])
                raise ValueError(f"graph: {name}: expected finite log-weights or -inf, got {values[place]} at place {place}")
        for name, low, high in (
            ("sources", 0, self.num_states), ("targets", 0, self.num_states), ("labels", EPSILON, np.inf)
        ):  # fmt: skip
            values = getattr(self, name)
            wrong = np.flatnonzero((values < low) | (values >= high))
            if len(wrong):
                got = f"{values[wrong[0]]} at place {wrong[0]}"
                raise ValueError(f"graph: {name}: expected numbers from {low} to below {high}, got {got}")

    def _check_cycles(self) -> None:
        circular = np.flatnonzero(self.epsilon_ranks < 0)
        if len(circular):
            raise ValueError(
                f"graph: expected no cycle of epsilon arcs, got one through state {circular[0]}; its sum over paths has no end"
            )


@njit(cache=True)
def _reached(states: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Which states can be reached from ``states`` along the arcs."""
    offsets, order = _by_state(len(states), sources)
    reached = states.copy()
    stack = np.empty(len(states), dtype=np.int64)
    height = 0
    for state in np.flatnonzero(states):
        stack[height] = state
        height += 1
    while height:
        height -= 1
        state = stack[height]
        for k in range(offsets[state], offsets[state + 1]):
            target = targets[order[k]]
            if not reached[target]:
                reached[target] = True
                stack[height] = target
                height += 1
    return reached


@njit(cache=True)
def _ranks(num_states: int, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Length of the longest chain of arcs into each state; -1 for the states on or behind a cycle."""
    offsets, order = _by_state(num_states, sources)
    missing = np.zeros(num_states, dtype=np.int64)
    for target in targets:
        missing[target] += 1
    ranks = np.zeros(num_states, dtype=np.int64)
    stack = np.empty(num_states, dtype=np.int64)
    height = 0
    for state in range(num_states):
        if missing[state] == 0:
            stack[height] = state
            height += 1
    while height:
        height -= 1
        state = stack[height]
        for k in range(offsets[state], offsets[state + 1]):
            target = targets[order[k]]
            ranks[target] = max(ranks[target], ranks[state] + 1)
            missing[target] -= 1
            if missing[target] == 0:
                stack[height] = target
                height += 1
    for state in range(num_states):
        if missing[state] > 0:
            ranks[state] = -1
    return ranks


@njit(cache=True)
def _by_state(num_states: int, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arcs grouped by state, in their order: those of state q are ``order[offsets[q]:offsets[q + 1]]``."""
    offsets = np.zeros(num_states + 1, dtype=np.int64)
    for state in states:
        offsets[state + 1] += 1
    offsets = np.cumsum(offsets)
    order = np.empty(len(states), dtype=np.int64)
    place = offsets[:-1].copy()
    for arc in range(len(states)):
        order[place[states[arc]]] = arc
        place[states[arc]] += 1
    return offsets, order
