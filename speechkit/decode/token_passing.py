"""Token passing through a decoding graph: Viterbi search with a beam that keeps a lattice (Povey et al. 2012).

A token is a graph state that a frame's end can be in, with the cost of the cheapest path to it; links join tokens. The
links that can be part of a path whose cost is at most ``lattice_beam`` above the best one are the lattice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from speechkit.graphs.wfst import EPSILON, Wfst

BEAM_DELTA = 0.5  # nats by which the beam of the next frame exceeds the one that max_active left, as in Kaldi


class GraphArrays(NamedTuple):
    """What the search reads of a graph; the epsilon arcs of a state come first."""

    offsets: np.ndarray  # (N + 1,)
    emitting: np.ndarray  # (N,) each state's first arc that has an input label
    labels: np.ndarray  # (M,)
    costs: np.ndarray  # (M,) float64
    targets: np.ndarray  # (M,)
    final: np.ndarray  # (N,) float64


class Links(NamedTuple):
    """A lattice: states sorted topologically, the start first; links sorted by their source."""

    frames: np.ndarray  # (K,) frames that lie before each state
    sources: np.ndarray  # (L,)
    targets: np.ndarray  # (L,)
    arcs: np.ndarray  # (L,) of the graph
    graph_states: np.ndarray  # (K,)


def graph_arrays(graph: Wfst, costs: np.ndarray, final: np.ndarray) -> GraphArrays:
    """A graph as the search wants it, with costs of its arcs and ends in place of its own.

    Raises:
        ValueError: Epsilon arcs form a circle.
    """
    is_epsilon = graph.ilabels == EPSILON
    assert not (is_epsilon[1:] & ~is_epsilon[:-1] & (graph.sources[1:] == graph.sources[:-1])).any(), "arcs are not sorted"
    num_epsilons = np.bincount(graph.sources[is_epsilon], minlength=graph.num_states)
    _check_acyclic(graph.sources[is_epsilon], graph.next_states[is_epsilon], graph.num_states)
    columns = (graph.ilabels, costs.astype(np.float64), graph.next_states)
    return GraphArrays(graph.offsets, graph.offsets[:-1] + num_epsilons, *columns, final.astype(np.float64))


def _check_acyclic(sources: np.ndarray, targets: np.ndarray, num_states: int) -> None:
    while len(sources):
        held = np.bincount(targets, minlength=num_states)[sources] > 0
        if held.all():
            raise ValueError("decoding graph: expected no circle of epsilon arcs, got one; build it with `speechkit graph`")
        sources, targets = sources[held], targets[held]


class _Frame(NamedTuple):
    """The tokens at the end of a frame and the links into them: those of the frame, then epsilons among the tokens."""

    states: np.ndarray  # (K,) of the graph
    alphas: np.ndarray  # (K,) cost of the cheapest path to each token
    links: np.ndarray  # (3, L) source among the tokens of the frame before, target, arc
    epsilons: np.ndarray  # (3, E) source, target, arc


def search(graph: GraphArrays, acoustic: np.ndarray, beam: float, max_active: int, lattice_beam: float) -> Links | None:
    """The lattice of one utterance; None if no path of the beam ends in a final state of the graph.

    Args:
        graph: With scaled costs.
        acoustic: (S, V) float64 cost of each token in each frame; label k of the graph is token k - 1.
        beam: Nats above the best token of a frame within which tokens live.
        max_active: Tokens that go on from a frame, at most (more if their costs are equal).
        lattice_beam: Nats above the best path within which the lattice's paths are.
    """
    slots = np.full(len(graph.final), -1)  # for each graph state its token in the frame at hand
    start = np.zeros(1, dtype=np.int64), np.zeros(1), np.empty((3, 0), dtype=np.int64)
    frames = [_Frame(*_close(graph, *start, beam, lattice_beam, slots))]
    for costs in acoustic:
        states, alphas = frames[-1][:2]
        if len(states) == 0:
            return None
        limit, width = _limits(alphas, beam, max_active)
        *reached, cutoff = _emit(graph, states, alphas, costs, limit, width, slots)
        frame = _Frame(*_close(graph, *reached, cutoff, lattice_beam, slots))
        sources, targets, arcs = frame.links
        # Worse than the best link into the same token by more than the beam: in no path of the lattice.
        within = alphas[sources] + _link_costs(graph, arcs, costs) <= frame.alphas[targets] + lattice_beam
        frames.append(frame._replace(links=frame.links[:, within]))
    return _prune(graph, acoustic, frames, lattice_beam)


def _link_costs(graph: GraphArrays, arcs: np.ndarray, costs: np.ndarray) -> np.ndarray:
    return graph.costs[arcs] + costs[graph.labels[arcs] - 1]


def _limits(alphas: np.ndarray, beam: float, max_active: int) -> tuple[float, float]:
    """The cost up to which tokens go on, and the beam of the next frame."""
    best = alphas.min()
    if len(alphas) <= max_active:
        return best + beam, beam
    limit = min(best + beam, np.partition(alphas, max_active - 1)[max_active - 1])
    return limit, min(beam, limit - best + BEAM_DELTA)


@njit(cache=True, nogil=True)
def _emit(graph, states, alphas, costs, limit, width, slots):
    """Tokens at the end of a frame, before its epsilons; their links, and the cost that the best one allows."""
    size = 0
    for token in range(len(states)):
        if alphas[token] <= limit:
            size += graph.offsets[states[token] + 1] - graph.emitting[states[token]]
    new_states, new_alphas, links = np.empty(size, np.int64), np.empty(size), np.empty((3, size), np.int64)
    count, num_links, cutoff = 0, 0, np.inf
    best = alphas.argmin()
    for place in range(-1, len(states)):  # the best token first: its successors make the cutoff
        token = best if place < 0 else place
        if alphas[token] > limit or place == best:
            continue
        for arc in range(graph.emitting[states[token]], graph.offsets[states[token] + 1]):
            cost = alphas[token] + graph.costs[arc] + costs[graph.labels[arc] - 1]
            if cost == np.inf or cost > cutoff:
                continue
            cutoff = min(cutoff, cost + width)
            slot = slots[graph.targets[arc]]
            if slot < 0:
                slot = slots[graph.targets[arc]] = count
                new_states[slot], new_alphas[slot] = graph.targets[arc], cost
                count += 1
            new_alphas[slot] = min(new_alphas[slot], cost)
            links[0, num_links], links[1, num_links], links[2, num_links] = token, slot, arc
            num_links += 1
    links = links[:, :num_links]
    return new_states[:count], new_alphas[:count], links, cutoff


@njit(cache=True, nogil=True)
def _close(graph, states, alphas, links, cutoff, lattice_beam, slots):
    """Add the tokens that epsilon arcs lead to, and their links; leave ``slots`` empty."""
    all_states, all_alphas, waiting = list(states), list(alphas), list(range(len(states)))
    for token in range(len(states)):
        slots[states[token]] = token
    while len(waiting) > 0:
        token = waiting.pop()
        for arc in range(graph.offsets[all_states[token]], graph.emitting[all_states[token]]):
            cost, target = all_alphas[token] + graph.costs[arc], graph.targets[arc]
            if cost > cutoff:
                continue
            if slots[target] < 0:
                slots[target] = len(all_states)
                all_states.append(target)
                all_alphas.append(np.inf)
            if cost < all_alphas[slots[target]]:
                all_alphas[slots[target]] = cost
                waiting.append(slots[target])
    epsilons = [(token, token, token) for token in range(0)]
    for token in range(len(all_states)):
        for arc in range(graph.offsets[all_states[token]], graph.emitting[all_states[token]]):
            slot = slots[graph.targets[arc]]
            if slot >= 0 and all_alphas[token] + graph.costs[arc] <= all_alphas[slot] + lattice_beam:
                epsilons.append((token, slot, arc))
    table = np.empty((3, len(epsilons)), np.int64)
    for place, link in enumerate(epsilons):
        table[0, place], table[1, place], table[2, place] = link
    for state in all_states:
        slots[state] = -1
    return np.array(all_states), np.array(all_alphas), links, table


def _prune(graph: GraphArrays, acoustic: np.ndarray, frames: list[_Frame], lattice_beam: float) -> Links | None:
    """Keep the links of paths within the lattice's beam, by the cost of what follows each token."""
    last = frames[-1]
    betas = graph.final[last.states]
    limit = (last.alphas + betas).min(initial=np.inf) + lattice_beam + 1e-9  # sums in another order differ by rounding
    if limit == np.inf:
        return None
    kept = []
    for number in range(len(frames) - 1, -1, -1):
        frame = frames[number]
        sources, targets, arcs = frame.epsilons
        costs = graph.costs[arcs]
        _relax(betas, sources, targets, costs)
        within = frame.epsilons[:, frame.alphas[sources] + costs + betas[targets] <= limit]
        if number == 0:
            kept.append((frame.links, within))
            break
        sources, targets, arcs = frame.links
        costs = _link_costs(graph, arcs, acoustic[number - 1]) + betas[targets]
        alphas = frames[number - 1].alphas
        kept.append((frame.links[:, alphas[sources] + costs <= limit], within))
        betas = np.full(len(alphas), np.inf)
        np.minimum.at(betas, sources, costs)
    return _sort([frame.states for frame in frames], kept[::-1])


@njit(cache=True, nogil=True)
def _relax(betas, sources, targets, costs):
    """Let the cost of what follows flow back through epsilon links, which form no circle."""
    changed = True
    while changed:
        changed = False
        for link in range(len(sources)):
            cost = betas[targets[link]] + costs[link]
            if cost < betas[sources[link]]:
                betas[sources[link]] = cost
                changed = True


def _sort(states: list[np.ndarray], kept: list[tuple[np.ndarray, np.ndarray]]) -> Links:
    """One lattice of the links that were kept in each frame, its states in topological order."""
    first = np.cumsum([0, *(len(each) for each in states)])
    into = [links + [[first[max(t - 1, 0)]], [first[t]], [0]] for t, (links, _) in enumerate(kept)]
    epsilons = np.concatenate([links + [[first[t]], [first[t]], [0]] for t, (_, links) in enumerate(kept)], axis=1)
    sources, targets, arcs = np.concatenate([epsilons, *into], axis=1)
    depths = np.zeros(first[-1], dtype=np.int64)  # epsilons in a row that lead to a token
    while True:
        deeper = np.zeros_like(depths)
        np.maximum.at(deeper, epsilons[1], depths[epsilons[0]] + 1)
        if (deeper == depths).all():
            break
        depths = deeper
    frames = np.repeat(np.arange(len(states)), [len(each) for each in states])
    used = np.unique(np.concatenate([[0], sources, targets]))
    used = used[np.lexsort((used, depths[used], frames[used]))]
    numbers = np.full(first[-1], -1)
    numbers[used] = np.arange(len(used))
    order = np.lexsort((arcs, numbers[targets], numbers[sources]))
    return Links(frames[used], numbers[sources[order]], numbers[targets[order]], arcs[order], np.concatenate(states)[used])
