"""Lattices: the likely paths of an utterance through a decoding graph, with the parts of their scores.

Scores are log-values in nats: those of the network and those of the graph lie side by side, so that both can be weighed,
and the language model exchanged, after the search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit

from speechkit.graphs.backoff import BackoffGraph
from speechkit.utils.files import atomic_write


class Weights(NamedTuple):
    """What the parts of a score count: ``acoustic * network + graph * graph + word * number of words``."""

    acoustic: float = 1.0
    graph: float = 1.0
    word: float = 0.0


class LatticePath(NamedTuple):
    """A path from the start of a lattice to an end."""

    score: float
    links: np.ndarray


@dataclass(frozen=True, eq=False)
class Lattice:
    """K states in topological order, state 0 the start, and L links sorted by their source.

    Args:
        frames: (K,) encoder frames that lie before each state.
        final: (K,) graph's log-score of ending in a state; ``-inf`` where no path ends.
        sources: (L,) state that each link leaves.
        targets: (L,) state that it leads to.
        labels: (L,) token id plus one of the link's frame; 0 for links without a frame.
        begins: (L,) bool: whether a token begins here, rather than lasts.
        words: (L,) id of the word (in a graph without words: token id plus one) that the link says; 0 for none.
        acoustic: (L,) network's log-probability.
        graph: (L,) graph's log-score.
    """

    frames: np.ndarray
    final: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    begins: np.ndarray
    words: np.ndarray
    acoustic: np.ndarray
    graph: np.ndarray

    def nbest(self, n: int, weights: Weights) -> list[LatticePath]:
        """The best path of each of the ``n`` best word sequences, best first; exact.

        Each state keeps its ``n`` best histories of words. That suffices: a history with ``n`` better ones in the same
        state is, whatever follows, behind ``n`` better sequences of words.
        """
        ends = np.flatnonzero(np.isfinite(self.final))
        links = np.arange(len(self.sources))
        scores = weights.acoustic * self.acoustic + weights.graph * self.graph + weights.word * (self.words > 0)
        # One more state for all ends.
        targets = np.append(self.targets, np.full(len(ends), len(self.frames)))
        order = np.argsort(targets, kind="stable")
        found, links_of, before = _nbest(
            np.searchsorted(targets[order], np.arange(len(self.frames) + 2)),
            np.append(self.sources, ends)[order],
            np.append(self.words, np.zeros(len(ends), self.words.dtype))[order],
            np.append(scores, weights.graph * self.final[ends])[order],
            np.append(links, np.full(len(ends), -1))[order],
            n,
        )
        return [LatticePath(score, _trace(entry, links_of, before)) for entry, score in found]

    def rescored(self, old: BackoffGraph, new: BackoffGraph) -> Lattice:
        """The lattice with another language model: composed with both, so that each path has exact scores of both.

        The graph's scores keep what they held beside the old model: the costs of spellings, and what a path through
        backoff arcs had more than the model gives it.

        Args:
            old: What the graph was made of, over the ids of the lattice's words.
            new: The other model, over the same ids. A path with a word that it does not have is lost.
        """
        first = np.searchsorted(self.sources, np.arange(len(self.frames) + 1))
        scores = self.final
        states, (sources, targets, links), gains, ends = _compose(
            first, self.targets, self.words, np.isfinite(scores), old.arrays, new.arrays, old.start, new.start
        )
        order = np.argsort(states, kind="stable")  # the start stays first
        numbers = np.empty(len(order), dtype=np.int64)
        numbers[order] = np.arange(len(order))
        states, by_source = states[order], np.argsort(numbers[sources], kind="stable")
        links = links[by_source]
        columns = {name: getattr(self, name)[links] for name in ("labels", "begins", "words", "acoustic")}
        return replace(
            self, **columns, frames=self.frames[states], final=scores[states] + ends[order],
            sources=numbers[sources][by_source], targets=numbers[targets][by_source],
            graph=self.graph[links] + gains[by_source],
        )  # fmt: skip

    def write(self, path: Path | str) -> None:
        """Write all arrays into a file ``.npz``, whole or not at all."""
        with atomic_write(path, "wb") as file:
            np.savez_compressed(file, **vars(self))

    @staticmethod
    def read(path: Path | str) -> Lattice:
        """Read what :meth:`write` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return Lattice(**arrays)


# --- n-best -----------------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _nbest(first, sources, words, scores, links, n):
    """Entries (history of words in a state): those of the last state with their scores; of all their link and entry before."""
    num_states = len(first) - 1
    starts = np.zeros(num_states + 1, np.int64)  # of each state's entries
    values, nodes, link_of, before = [0.0], [0], [-1], [-1]
    # A trie of words: each node has a first child and a next sibling; the last state that took it.
    word_of, child, sibling, taken = [0], [-1], [-1], [0]
    starts[1] = 1
    for state in range(1, num_states):
        size = 0
        for place in range(first[state], first[state + 1]):
            size += starts[sources[place] + 1] - starts[sources[place]]
        if size == 0:
            starts[state + 1] = len(values)
            continue
        candidates, places, entries, count = np.empty(size), np.empty(size, np.int64), np.empty(size, np.int64), 0
        for place in range(first[state], first[state + 1]):
            for entry in range(starts[sources[place]], starts[sources[place] + 1]):
                candidates[count], places[count], entries[count] = values[entry] + scores[place], place, entry
                count += 1
        order = np.argsort(-candidates, kind="mergesort") if n > 1 else np.array([candidates.argmax()])
        for candidate in order:
            if len(values) - starts[state] == n or candidates[candidate] == -np.inf:
                break
            place, entry = places[candidate], entries[candidate]
            node = nodes[entry]
            if words[place] > 0:
                parent, node = node, child[node]
                while node >= 0 and word_of[node] != words[place]:
                    node = sibling[node]
                if node < 0:
                    node = len(word_of)
                    word_of.append(words[place])
                    sibling.append(child[parent])
                    child.append(-1)
                    taken.append(-1)
                    child[parent] = node
            if taken[node] == state:
                continue
            taken[node] = state
            values.append(candidates[candidate])
            nodes.append(node)
            link_of.append(links[place])
            before.append(entry)
        starts[state + 1] = len(values)
    found = [(entry, values[entry]) for entry in range(starts[num_states - 1], starts[num_states])]
    return found, np.array(link_of), np.array(before)


def _trace(entry: int, links_of: np.ndarray, before: np.ndarray) -> np.ndarray:
    path = []
    entry = before[entry]  # the first link back is the end's
    while before[entry] >= 0:
        path.append(links_of[entry])
        entry = before[entry]
    return np.array(path[::-1], dtype=np.int64)


# --- rescoring --------------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _step(model, state, word):
    """Log-probability of a word in a state of a language model, and the next state."""
    total = 0.0
    while True:
        low, high = model.arc_offsets[state], model.arc_offsets[state + 1]
        place = low + np.searchsorted(model.arc_symbols[low:high], word)
        if place < high and model.arc_symbols[place] == word:
            return total + model.arc_weights[place], model.arc_targets[place]
        if model.backoff_states[state] < 0:
            return -np.inf, 0
        total += model.backoff_weights[state]
        state = model.backoff_states[state]


@njit(cache=True, nogil=True)
def _end(model, state):
    """Log-probability of the end of the sentence."""
    total = 0.0
    while model.final_weights[state] == -np.inf and model.backoff_states[state] >= 0:
        total += model.backoff_weights[state]
        state = model.backoff_states[state]
    return total + model.final_weights[state]


@njit(cache=True, nogil=True)
def _compose(first, targets, words, is_final, old, new, old_start, new_start):
    """Triples (lattice state, old model's state, new model's state), the links between them, what these and the ends gain."""
    num_states = len(first) - 1
    heads = np.full(num_states, -1)  # of each lattice state its last triple; the others hang on it
    states, olds, news, others = [0], [old_start], [new_start], [-1]
    heads[0] = 0
    found = [(0, 0, 0, 0.0) for _ in range(0)]  # numba wants to see what the list will hold
    for state in range(num_states):
        triple = heads[state]
        while triple >= 0:
            for link in range(first[state], first[state + 1]):
                gain, old_next, new_next = 0.0, olds[triple], news[triple]
                if words[link] > 0:
                    gone, old_next = _step(old, old_next, words[link])
                    come, new_next = _step(new, new_next, words[link])
                    gain = come - gone
                if not gain > -np.inf:
                    continue
                target = targets[link]
                match = heads[target]
                while match >= 0 and (olds[match] != old_next or news[match] != new_next):
                    match = others[match]
                if match < 0:
                    match = len(states)
                    states.append(target)
                    olds.append(old_next)
                    news.append(new_next)
                    others.append(heads[target])
                    heads[target] = match
                found.append((triple, match, link, gain))
            triple = others[triple]
    ends = np.zeros(len(states))
    for triple in range(len(states)):
        if is_final[states[triple]]:
            ends[triple] = _end(new, news[triple]) - _end(old, olds[triple])
    joins, gains = np.empty((3, len(found)), np.int64), np.empty(len(found))
    for place, (source, match, link, gain) in enumerate(found):
        joins[0, place], joins[1, place], joins[2, place], gains[place] = source, match, link, gain
    return np.array(states), joins, gains, ends
