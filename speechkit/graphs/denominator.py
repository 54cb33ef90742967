"""Denominator graphs: all frame labellings there are, weighted by an n-gram model of the tokens that they spell."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from speechkit.graphs.backoff import BackoffGraph
from speechkit.graphs.graph import EPSILON, Graph
from speechkit.graphs.label_graph import Topology
from speechkit.graphs.ngram import NGram

TOLERANCE = 1e-9  # relative rounding error of a probability
LARGEST = 50_000_000  # arcs


def denominator_graph(
    model: NGram, topology: Topology, seen_only: bool = False, semiring: Literal["log", "tropical"] = "log"
) -> Graph:
    """The graph whose paths for a token sequence Y are those of the topology, each with the weight log p(Y) of the model.

    The contexts of the graph are the states of the n-gram model; the empty history, which forgets the last token, becomes
    a context for each token, so that all know theirs. A context is three states: in the last token; in the blanks behind
    it; and a hub that both lead to without taking a frame, from which the next token begins. Where equal neighbours must
    have a blank between them, the hub leaves out the last token, and it begins anew from the blanks only. So each n-gram is
    one arc, not one for each state that it may begin in.

    Backoff is exact. From a hub h an epsilon arc with the backoff weight leads to the hub h' of its backoff state, and
    the arcs of h hold the remainders ``p(w | h) - backoff(h) p(w | h')``. But for a w that is seen after h the path over h'
    must lead to the same context as the arc, or the rest of the sentence would be scored with too short a history. So this
    serves the longest histories (most of the n-grams) of models with interpolated smoothing; contexts with shorter
    histories have an arc for each token. For order 2 these are ``V ** 2`` arcs, for order 3 V for each token seen, for
    order 4 V for each bigram seen.

    Args:
        model: The n-gram model.
        topology: Which frame labels tokens may have.
        seen_only: Leave backoff out: after a history come only the tokens seen there (of the longest history that had
            any), their probabilities scaled to one. Much sparser; but unseen sequences, such as some of a validation set,
            are impossible, and p(Y) is no longer that of the model. This is how Kaldi's chain models do it (Povey et
            al. 2016, section 2.3), there without smoothing.
        semiring: ``log`` for sums over paths. ``tropical`` for the search of a best one, to which a sum of two ways is no use:
            there arcs hold p(w | h), which is never less than what the way over h' gives.

    Raises:
        ValueError: The graph would have more than fifty million arcs.
    """
    lm, blank = _Contexts.of(model), model.vocabulary.blank_id
    spread = _seen(lm) if seen_only else _exact(lm, topology.merges, semiring)
    size = lm.size
    inside, behind, hub = np.arange(3 * size).reshape(3, size)[:, lm.places(model)]
    known = np.flatnonzero(lm.last >= 0)

    rows = [
        (inside[known], behind[known], blank, 0.0, EPSILON),
        (behind, behind, blank, 0.0, EPSILON),
        (inside[known], hub[known], EPSILON, 0.0, EPSILON),
        (behind, hub, EPSILON, 0.0, EPSILON),
        (hub[spread.backed], hub[lm.backoffs[spread.backed]], EPSILON, lm.backoff_weights[spread.backed], EPSILON),
    ]
    if topology.repeats:
        rows.append((inside[known], inside[known], lm.last[known], 0.0, EPSILON))
    again = (spread.symbols == lm.last[spread.sources]) & topology.merges
    for chosen, begin in ((again, behind), (~again, hub)):
        symbols = spread.symbols[chosen]
        rows.append((begin[spread.sources[chosen]], inside[spread.targets[chosen]], symbols, spread.weights[chosen], symbols))
    columns = [np.concatenate(column) for column in zip(*(np.broadcast_arrays(*row) for row in rows))]
    initial, final = np.full(3 * size, -np.inf), np.full(3 * size, -np.inf)
    initial[behind[lm.start]] = 0.0
    final[inside], final[behind] = spread.finals, spread.finals
    sources, targets, labels, weights, outputs = columns
    return Graph(sources, targets, labels, weights, outputs, initial, final).trimmed()


class _Contexts(NamedTuple):
    """The states of an n-gram model as P contexts that know their last token: first its own, then one for each symbol."""

    graph: BackoffGraph
    size: int  # P
    start: int
    last: np.ndarray  # (P,) the last token; -1 for none
    states: np.ndarray  # (P,) of the model
    backoffs: np.ndarray  # (P,) contexts; -1 for none
    backoff_weights: np.ndarray  # (P,)
    sources: np.ndarray  # (A,) contexts, of the model's arcs
    targets: np.ndarray  # (A,) contexts
    symbols: np.ndarray  # (A,) all symbols with a probability

    @classmethod
    def of(cls, model: NGram) -> _Contexts:
        graph, num_states, num_symbols = model.graph, model.graph.num_states, model.vocabulary.size
        last = np.full(num_states + num_symbols, -1)
        last[graph.arc_targets] = graph.arc_symbols
        last[0] = -1
        last[num_states:] = np.arange(num_symbols)
        none = np.zeros(num_symbols, dtype=np.int64)
        targets = np.where(graph.arc_targets > 0, graph.arc_targets, num_states + graph.arc_symbols)
        return cls(
            graph=graph,
            size=len(last),
            start=graph.start,
            last=last,
            states=np.concatenate([np.arange(num_states), none]),
            backoffs=np.concatenate([graph.backoff_states, none]),
            backoff_weights=np.concatenate([graph.backoff_weights, none.astype(np.float64)]),
            sources=graph.arc_sources,
            targets=targets,
            symbols=graph.arc_symbols[graph.arc_offsets[0] : graph.arc_offsets[1]],
        )

    def places(self, model: NGram) -> np.ndarray:
        """(P,) a number for each context so that those whose histories end alike are neighbours: what leads from one to
        another then lies close together in memory, which makes sums over large graphs faster."""
        nodes = np.zeros(self.graph.num_states, dtype=np.int64)
        # Written from the longest to the shortest: the n-gram that is the state itself is the first one with its number.
        nodes[model.graph_states[::-1]] = np.arange(len(model.symbols))[::-1]
        columns = [self.last]
        for _ in range(model.order - 1):
            nodes = model.prefixes[nodes].clip(min=0)
            columns.append(np.concatenate([model.symbols[nodes], np.full(self.size - len(nodes), -1)]))
        places = np.empty(self.size, dtype=np.int64)
        places[np.lexsort(columns[::-1])] = np.arange(self.size)
        return places

    def next(self, contexts: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """The context (N,) after each symbol (N,)."""
        states = self.graph.next_states(self.states[contexts], symbols)
        return np.where(states > 0, states, self.graph.num_states + symbols)

    def weights(self, contexts: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """log p (N,) of each symbol (N,) in its context."""
        return self.graph.weights(self.states[contexts], symbols)


class _Spread(NamedTuple):
    """How probability goes from context to context."""

    sources: np.ndarray  # (A,)
    targets: np.ndarray  # (A,)
    symbols: np.ndarray  # (A,)
    weights: np.ndarray  # (A,)
    backed: np.ndarray  # contexts with an arc to their backoff context
    finals: np.ndarray  # (P,)


def _exact(lm: _Contexts, merges: bool, semiring: str) -> _Spread:
    """All of the model: by arcs and backoff where that is exact, else by an arc for each symbol."""
    sources, targets, symbols, weights = lm.sources, lm.targets, lm.graph.arc_symbols, lm.graph.arc_weights
    low = lm.backoffs[sources]
    again = (symbols == lm.last[sources]) & merges  # these begin behind blanks, with all of their probability
    shared = lm.backoff_weights[sources] + lm.weights(low.clip(min=0), symbols)
    left = -np.expm1(np.where(low >= 0, shared - weights, -np.inf))  # share of p(w | h) that is no backoff
    right = again | ((lm.next(low.clip(min=0), symbols) == targets) & (left > -TOLERANCE))
    backed = lm.backoffs >= 0
    backed &= np.bincount(sources[~right], minlength=lm.size) == 0
    if merges:
        backed &= lm.last == lm.last[lm.backoffs.clip(min=0)]

    kept = backed[sources] & ((left > TOLERANCE) | again)
    share = np.where(again | (semiring == "tropical"), 0.0, np.log(left.clip(min=TOLERANCE)))
    parts = [(sources[kept], targets[kept], symbols[kept], (weights + share)[kept])]
    # A last token that is not seen after its history begins anew with what backoff gives it.
    if merges:
        known = np.flatnonzero(backed & (lm.last >= 0))
        known = known[~np.isin(known, sources[again])]
        parts.append((known, lm.next(known, lm.last[known]), lm.last[known], lm.weights(known, lm.last[known])))
    whole = np.flatnonzero(~backed)
    if len(whole) * len(lm.symbols) > LARGEST:
        raise ValueError(
            f"denominator graph: expected at most {LARGEST} arcs, got {len(whole)} histories that need an arc for each of "
            f"{len(lm.symbols)} tokens; lower the order, prune the n-gram model, use fewer tokens, or only seen n-grams"
        )
    rows, columns = np.repeat(whole, len(lm.symbols)), np.tile(lm.symbols, len(whole))
    parts.append((rows, lm.next(rows, columns), columns, lm.weights(rows, columns)))
    ends = np.full(lm.size, lm.graph.num_symbols - 1)
    return _Spread(*map(np.concatenate, zip(*parts)), np.flatnonzero(backed), lm.weights(np.arange(lm.size), ends))


def _seen(lm: _Contexts) -> _Spread:
    """Only the model's own arcs, of the longest history that has any, scaled so that they and the end sum to one."""
    graph = lm.graph
    counts = np.diff(graph.arc_offsets)
    empty = (counts == 0) & (graph.final_weights == -np.inf)
    owners = lm.states.copy()
    while (poor := empty[owners] & (owners > 0)).any():
        owners[poor] = graph.backoff_states[owners[poor]]
    totals = np.exp(graph.final_weights) + np.bincount(
        graph.arc_sources, np.exp(graph.arc_weights), minlength=graph.num_states
    )
    numbers = counts[owners]
    sources = np.repeat(np.arange(lm.size), numbers)
    arcs = np.arange(len(sources)) + np.repeat(graph.arc_offsets[owners] - (np.cumsum(numbers) - numbers), numbers)
    log_totals = np.log(totals)[owners]
    return _Spread(
        sources=sources,
        targets=lm.targets[arcs],
        symbols=graph.arc_symbols[arcs],
        weights=graph.arc_weights[arcs] - log_totals[sources],
        backed=np.empty(0, dtype=np.int64),
        finals=graph.final_weights[owners] - log_totals,
    )
