"""N-gram language models over integer symbols: probabilities, and the automaton that graphs and searches are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from speechkit.graphs.backoff import BackoffGraph
from speechkit.text.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class NGram:
    """A backoff n-gram model: ``p(w | h) = p_explicit(hw)`` where the n-gram hw is there, else ``backoff(h) p(w | h')``.

    h' is h without its first symbol. The n-grams are the nodes of a trie, node 0 the empty one, then by length, and within
    a length by (prefix, last symbol). ``<s>`` and ``</s>`` share the vocabulary's last id, as in the tokenizers: at the
    first place of a history it is the start, as the symbol that is predicted the end. So the 1-gram of that id has
    the probability of ``</s>`` and the backoff weight of ``<s>``.

    Args:
        vocabulary: The symbols; the blank is none that the model predicts.
        level_offsets: (order + 2,) n-grams of length n are the nodes from ``level_offsets[n]`` to ``level_offsets[n + 1]``.
        prefixes: (G,) each node's n-gram without its last symbol, as a node; -1 for node 0.
        symbols: (G,) its last symbol; -1 for node 0.
        log_probs: (G,) nats, of the last symbol after the prefix; 0 for node 0.
        log_backoffs: (G,) nats, of the n-gram as a history; 0 where it is none.
    """

    vocabulary: Vocabulary
    level_offsets: np.ndarray
    prefixes: np.ndarray
    symbols: np.ndarray
    log_probs: np.ndarray
    log_backoffs: np.ndarray

    @property
    def order(self) -> int:
        """n of the longest n-grams."""
        return len(self.level_offsets) - 2

    def level(self, length: int) -> slice:
        """The nodes of the n-grams of one length."""
        return slice(int(self.level_offsets[length]), int(self.level_offsets[length + 1]))

    def ngrams(self, length: int) -> np.ndarray:
        """(N, length) the n-grams of one length, in the order of their nodes."""
        nodes = np.arange(self.level_offsets[length], self.level_offsets[length + 1])
        columns = []
        for _ in range(length):
            columns.append(self.symbols[nodes])
            nodes = self.prefixes[nodes]
        return np.stack(columns[::-1], axis=1)

    def find(self, prefixes: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Nodes (N,) of the n-grams that prolong the nodes ``prefixes`` (N,) by ``symbols`` (N,); -1 where there is none."""
        wanted = prefixes * self.vocabulary.size + symbols
        found = np.searchsorted(self._keys, wanted).clip(max=len(self._keys) - 1)
        return np.where(self._keys[found] == wanted, found + 1, -1)

    @cached_property
    def _keys(self) -> np.ndarray:
        """(G - 1,) ascending: prefix and symbol of every node but the first as one number."""
        return self.prefixes[1:] * self.vocabulary.size + self.symbols[1:]

    @cached_property
    def suffixes(self) -> np.ndarray:
        """(G,) the longest proper suffix of each n-gram that is a node; -1 for node 0."""
        suffixes = np.zeros(len(self.symbols), dtype=np.int64)
        suffixes[0] = -1
        for length in range(2, self.order + 1):
            level = self.level(length)
            symbols, histories = self.symbols[level], suffixes[self.prefixes[level]]
            found = np.zeros(len(symbols), dtype=np.int64)
            looking = np.ones(len(symbols), dtype=bool)
            while looking.any():
                nodes = self.find(histories, symbols)
                found = np.where(looking & (nodes >= 0), nodes, found)
                looking &= (nodes < 0) & (histories > 0)
                histories = suffixes[np.maximum(histories, 0)].clip(min=0)
            suffixes[level] = found
        return suffixes

    # --- probabilities ------------------------------------------------------------------------------------------

    def log_prob(self, history: Sequence[int], symbol: int) -> float:
        """log p(symbol | history) in nats; ``-inf`` for a symbol that is in no 1-gram.

        Args:
            history: Any length; at its first place ``vocabulary.sos_id`` means the start of the sentence.
            symbol: ``vocabulary.eos_id`` for the end of the sentence.
        """
        return float(self.graph.weights(np.array([self.state(history)]), np.array([symbol]))[0])

    def state(self, history: Sequence[int]) -> int:
        """The state of :attr:`graph` after ``history``."""
        history, state = list(history), 0
        if history[:1] == [self.vocabulary.sos_id]:
            history, state = history[1:], self.graph.start
        for symbol in history:
            state = int(self.graph.next_states(np.array([state]), np.array([symbol]))[0])
        return state

    def sentence_log_prob(self, sentence: Sequence[int]) -> float:
        """log p(sentence, ``</s>`` | ``<s>``) in nats; ``sentence`` holds neither of the two."""
        graph, states = self.graph, [self.graph.start]
        for symbol in sentence:
            states.append(int(graph.next_states(np.array(states[-1:]), np.array([symbol]))[0]))
        return float(graph.weights(np.array(states), np.array([*sentence, self.vocabulary.eos_id])).sum())

    def perplexity(self, sentences: Iterable[Sequence[int]]) -> float:
        """exp of the mean negative log-probability per symbol, the ends of the sentences counted as symbols.

        Raises:
            ValueError: there are no sentences.
        """
        total, count = 0.0, 0
        for sentence in sentences:
            total += self.sentence_log_prob(sentence)
            count += len(sentence) + 1
        if count == 0:
            raise ValueError("perplexity: expected at least one sentence, got none")
        return math.exp(-total / count)

    # --- the automaton ------------------------------------------------------------------------------------------

    @cached_property
    def graph_states(self) -> np.ndarray:
        """(G,) the state of :attr:`graph` after each n-gram: that of its longest suffix that is a state."""
        numbers = np.cumsum(self._is_state) - 1
        for length in range(1, self.order + 1):
            level = self.level(length)
            numbers[level] = np.where(self._is_state[level], numbers[level], numbers[self.suffixes[level]])
        return numbers

    @cached_property
    def _is_state(self) -> np.ndarray:
        """(G,) whether an n-gram is a history of its own: others give what their longest suffix gives."""
        is_state = self.log_backoffs != 0
        is_state[0] = True
        is_state[self.prefixes[1:]] = True
        return is_state

    @cached_property
    def graph(self) -> BackoffGraph:
        """The model as an automaton: a state per history, an arc per n-gram, a backoff arc per state.

        States are sorted by the length of their history. ``arc_weights`` are log p(w | h), ``final_weights``
        log p(``</s>`` | h) where the model has that n-gram.
        """
        numbers, eos = self.graph_states, self.vocabulary.eos_id
        nodes = np.flatnonzero(self._is_state)
        ends = self.symbols == eos
        arcs = np.flatnonzero(~ends)[1:]
        sources = numbers[self.prefixes[arcs]]
        finals = np.full(len(nodes), -np.inf)
        finals[numbers[self.prefixes[ends]]] = self.log_probs[ends]
        backoffs = numbers[self.suffixes[nodes].clip(min=0)]
        backoffs[0] = -1
        start = self.find(np.array([0]), np.array([eos]))[0]
        return BackoffGraph(
            num_symbols=self.vocabulary.size,
            start=int(numbers[start]) if start >= 0 else 0,
            arc_offsets=np.searchsorted(sources, np.arange(len(nodes) + 1)),
            arc_symbols=self.symbols[arcs],
            arc_targets=numbers[arcs],
            arc_weights=self.log_probs[arcs],
            backoff_states=backoffs,
            backoff_weights=self.log_backoffs[nodes],
            final_weights=finals,
        )
