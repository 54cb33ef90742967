"""Automata with backoff (failure) arcs as flat arrays: n-gram models, and tries of phrases to spot.

A state has arcs for some symbols. For every other symbol the state's backoff weight is added and its backoff state asked,
down to state 0, which has none. Weights are log-values in nats.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit


class BackoffArrays(NamedTuple):
    """What compiled functions read; see :class:`BackoffGraph`."""

    arc_offsets: np.ndarray
    arc_symbols: np.ndarray
    arc_targets: np.ndarray
    arc_weights: np.ndarray
    backoff_states: np.ndarray
    backoff_weights: np.ndarray
    final_weights: np.ndarray


@dataclass(frozen=True, eq=False)
class BackoffGraph:
    """Q states, state 0 the last resort; a state backs off to one with a smaller number.

    Args:
        num_symbols: V; symbols are 0 .. V-1, and V-1, the end of the sentence, has no arcs but final weights.
        start: State at the start of a sentence.
        arc_offsets: (Q + 1,) the arcs of state q are those from ``arc_offsets[q]`` to ``arc_offsets[q + 1]``.
        arc_symbols: (A,) ascending within a state.
        arc_targets: (A,) the next state.
        arc_weights: (A,) nats, of the symbol in that state; for a language model its log-probability.
        backoff_states: (Q,) -1 for state 0.
        backoff_weights: (Q,) nats; 0 for state 0.
        final_weights: (Q,) nats, of ending there; ``-inf`` where that is left to the backoff state.
    """

    num_symbols: int
    start: int
    arc_offsets: np.ndarray
    arc_symbols: np.ndarray
    arc_targets: np.ndarray
    arc_weights: np.ndarray
    backoff_states: np.ndarray
    backoff_weights: np.ndarray
    final_weights: np.ndarray

    @property
    def num_states(self) -> int:
        """Q."""
        return len(self.backoff_states)

    @cached_property
    def arc_sources(self) -> np.ndarray:
        """(A,) the state that each arc leaves."""
        return np.repeat(np.arange(self.num_states), np.diff(self.arc_offsets))

    @cached_property
    def arrays(self) -> BackoffArrays:
        """For compiled functions."""
        return BackoffArrays(*(np.ascontiguousarray(getattr(self, name)) for name in BackoffArrays._fields))

    def weights(self, states: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Weight (N,) of each symbol (N,) in its state (N,), over backoffs; ``-inf`` where not even state 0 has it."""
        return _weights(self.arrays, self.num_symbols - 1, *_int64(states, symbols))

    def next_states(self, states: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """State (N,) after each symbol (N,); 0 where no state has an arc for it."""
        return _next_states(self.arrays, *_int64(states, symbols))

    def rows(self, states: np.ndarray, default: float = -np.inf) -> np.ndarray:
        """Weights (N, V) float32 of all symbols in each state (N,), the last column those of ending.

        Args:
            states: Any number of them, in any order.
            default: What state 0 gives to symbols that it has no arc for; backoff weights come on top of it.
        """
        return _rows(self.arrays, self.num_symbols, np.float32(default), *_int64(states))

    def expanded(self) -> BackoffGraph:
        """The same automaton with an arc for every symbol that a state has, over backoffs or not, and none to back off.

        Exact for every sequence and for any model, at the price of up to Q (V - 1) arcs.
        """
        states = np.repeat(np.arange(self.num_states), self.num_symbols - 1)
        symbols = np.tile(np.arange(self.num_symbols - 1), self.num_states)
        weights = self.weights(states, symbols)
        kept = weights > -np.inf
        ends = np.full(self.num_states, self.num_symbols - 1)
        return replace(
            self,
            arc_offsets=np.searchsorted(states[kept], np.arange(self.num_states + 1)),
            arc_symbols=symbols[kept],
            arc_targets=self.next_states(states[kept], symbols[kept]),
            arc_weights=weights[kept],
            backoff_states=np.full(self.num_states, -1),
            backoff_weights=np.zeros(self.num_states),
            final_weights=self.weights(np.arange(self.num_states), ends),
        )

    def interpolated(self, tolerance: float = 1e-9) -> BackoffGraph:
        """Arcs for an automaton whose backoff arcs are plain epsilon arcs, which may always be taken, in the log semiring.

        The arcs hold the remainders ``p(w | h) - backoff(h) p(w | h')``, so that in every state
        ``p(w | h) = remainder(w | h) + backoff(h) p(w | h')``; those without a remainder are left out. The weights that leave
        a state, the epsilon arc's and the final one included, sum to one, so the automaton is a distribution over sequences.

        Of a bigram it is the same distribution. Of longer n-grams it is the model's for one symbol, but for sequences it
        is that of a model with a forgetful memory: a symbol that was taken behind the epsilon arc leads to the state
        of the shorter history, also where h has an arc for it to a longer one. Whoever needs the model itself takes
        :meth:`expanded`, or honours the "only if there is no arc" of backoff.

        Args:
            tolerance: Rounding error that a remainder may have, relative to p(w | h).

        Raises:
            ValueError: a remainder is negative. It never is in models with interpolated smoothing, with or without
                count cut-offs, or pruned so as to stay interpolated; it often is after other entropy pruning and in
                models that were smoothed by backoff.
        """
        arcs, kept = self._remainders(self.arc_weights, self.arc_sources, self.arc_symbols, tolerance)
        ends = np.flatnonzero(self.final_weights > -np.inf)
        symbols = np.full(len(ends), self.num_symbols - 1)
        finals = np.full(self.num_states, -np.inf)
        finals[ends], _ = self._remainders(self.final_weights[ends], ends, symbols, tolerance)
        counts = np.bincount(self.arc_sources[kept], minlength=self.num_states)
        return replace(
            self,
            arc_offsets=np.concatenate([[0], np.cumsum(counts)]),
            arc_symbols=self.arc_symbols[kept],
            arc_targets=self.arc_targets[kept],
            arc_weights=arcs[kept],
            final_weights=finals,
        )

    def _remainders(
        self, weights: np.ndarray, sources: np.ndarray, symbols: np.ndarray, tolerance: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """log(p(w | h) - backoff(h) p(w | h')) of each arc, and whether there is anything left."""
        low = self.backoff_states[sources]
        shared = np.where(low >= 0, self.backoff_weights[sources] + self.weights(np.maximum(low, 0), symbols), -np.inf)
        left = -np.expm1(np.where(weights > -np.inf, shared - weights, 0.0))  # share of p(w | h) that is no backoff
        if (left < -tolerance).any():
            worst = int(left.argmin())
            raise ValueError(
                f"n-gram model: expected interpolated smoothing, got symbol {symbols[worst]} in state {sources[worst]} with "
                f"less probability than its backoff alone gives ({-left[worst]:.3g} of it is missing), so the model is no sum "
                "over arcs and epsilon arcs; estimate it with an interpolated smoothing, and prune it with keep=interpolation"
            )
        kept = left > tolerance
        return np.where(kept, weights + np.log(np.maximum(left, tolerance)), -np.inf), kept


def _int64(*arrays: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(array, dtype=np.int64) for array in arrays]


@njit(cache=True, nogil=True)
def _find(graph: BackoffArrays, state: int, symbol: int) -> int:
    low, high = graph.arc_offsets[state], graph.arc_offsets[state + 1]
    while low < high:
        middle = (low + high) // 2
        if graph.arc_symbols[middle] < symbol:
            low = middle + 1
        else:
            high = middle
    return low if low < graph.arc_offsets[state + 1] and graph.arc_symbols[low] == symbol else -1


@njit(cache=True, nogil=True)
def _weights(graph: BackoffArrays, end: int, states: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    found = np.empty(len(states))
    for n in range(len(states)):
        state, total, weight = states[n], 0.0, -np.inf
        while True:
            arc = _find(graph, state, symbols[n]) if symbols[n] != end else -1
            weight = graph.arc_weights[arc] if arc >= 0 else graph.final_weights[state] if symbols[n] == end else -np.inf
            if arc >= 0 or weight > -np.inf or graph.backoff_states[state] < 0:
                break
            total += graph.backoff_weights[state]
            state = graph.backoff_states[state]
        found[n] = total + weight
    return found


@njit(cache=True, nogil=True)
def _next_states(graph: BackoffArrays, states: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    found = np.zeros(len(states), dtype=np.int64)
    for n in range(len(states)):
        state = states[n]
        while state >= 0:
            arc = _find(graph, state, symbols[n])
            if arc >= 0:
                found[n] = graph.arc_targets[arc]
                break
            state = graph.backoff_states[state]
    return found


@njit(cache=True, nogil=True)
def _rows(graph: BackoffArrays, num_symbols: int, default: float, states: np.ndarray) -> np.ndarray:
    rows = np.empty((len(states), num_symbols), dtype=np.float32)
    written = np.full(num_symbols, -1, dtype=np.int64)  # the last row that has the symbol
    for n in range(len(states)):
        state, total = states[n], 0.0
        while True:  # the first state that has an arc for a symbol decides
            for arc in range(graph.arc_offsets[state], graph.arc_offsets[state + 1]):
                symbol = graph.arc_symbols[arc]
                if written[symbol] < n:
                    rows[n, symbol], written[symbol] = total + graph.arc_weights[arc], n
            if graph.final_weights[state] > -np.inf and written[num_symbols - 1] < n:
                rows[n, num_symbols - 1], written[num_symbols - 1] = total + graph.final_weights[state], n
            if graph.backoff_states[state] < 0:
                break
            total += graph.backoff_weights[state]
            state = graph.backoff_states[state]
        for symbol in range(num_symbols):
            if written[symbol] < n:
                rows[n, symbol] = total + default
    return rows
