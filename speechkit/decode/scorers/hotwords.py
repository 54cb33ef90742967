"""Hotwords: phrases that a search should rather find (contextual biasing)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from speechkit.decode.scorers.graph import GraphScorer
from speechkit.graphs.backoff import BackoffGraph


class HotwordScorer(GraphScorer, name="hotwords"):
    """A bonus for every token of a listed phrase, paid as the phrase is spelled and taken back where it breaks off.

    Whatever its tokens, a finished hypothesis has in the end the sum, over all places where a phrase stands in it, of
    the phrase's boost times its number of tokens. Phrases within others and overlapping ones all count.

    The phrases' trie has failure arcs (Aho and Corasick, 1975), so one look per token finds all phrases, wherever they begin.
    A phrase is a row of tokens: with tokens that do not mark where words begin it is also found within words.
    """

    class Config(GraphScorer.Config):
        """Options of hotwords."""

        phrases: tuple[str, ...] = ()
        """Phrases, written as in the transcripts that the model was trained on."""
        file: Path | None = None
        """More of them, one per line, each with a boost of its own behind a tab if wanted; as given, or in the model's
        folder."""
        boost: float = Field(1.5, allow_inf_nan=False)
        """Nats per token of phrases that have none of their own; negative to avoid a phrase."""

    def __init__(self, config: Config, **facts: Any) -> None:
        super().__init__(config, **facts)
        spelled: dict[tuple[int, ...], float] = {}
        for where, phrase, boost in self._phrases(config):
            tokens = self._spell(where, phrase)
            if spelled.setdefault(tokens, boost) != boost:
                raise ValueError(f"{where}: expected one boost for {phrase!r}, got {spelled[tokens]:g} and {boost:g}; give one")
        if not spelled:
            got = "neither" if config.file is None else f"none in {config.file}"
            raise ValueError(f"hotwords: expected phrases or a file of them, got {got}; give some, or leave the scorer out")
        self.graph, self.default = phrase_graph(spelled, self.vocabulary.size), 0.0
        self.symbols = np.arange(self.vocabulary.size)

    def _phrases(self, config: Config) -> Iterator[tuple[str, str, float]]:
        """(where it stands, phrase, boost)"""
        for index, phrase in enumerate(config.phrases):
            yield f"hotwords: phrases[{index}]", phrase, config.boost
        if config.file is None:
            return
        path = self.find_file(config.file, "a text file of hotwords")
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: expected a text file of hotwords: {error}") from None
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            phrase, tab, boost = line.strip("\r").partition("\t")
            yield f"{path}:{number}", phrase, _number(f"{path}:{number}", boost) if tab else config.boost

    def _spell(self, where: str, phrase: str) -> tuple[int, ...]:
        if self.tokenizer is None:
            raise ValueError(f"{where}: expected a tokenizer to spell {phrase!r} by, got a model without one")
        try:
            tokens = self.tokenizer.encode(phrase.strip())
        except ValueError as error:
            raise ValueError(f"{where}: {phrase!r} cannot be spelled in the model's tokens: {error}") from None
        if not tokens or self.tokenizer.unk_id in tokens:
            got = "one with unknown symbols" if tokens else "an empty one"
            raise ValueError(f"{where}: expected a phrase in the model's tokens, got {got}: {phrase!r}; write it differently")
        return tuple(tokens)


def _number(where: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise ValueError(f"{where}: expected a finite number behind the tab, got {text!r}")
    return number


class _Node(NamedTuple):
    children: dict[int, int]
    advance: list[float]  # the best bonus per token of the phrases that the token leading here belongs to
    bonus: list[float]  # of the phrase that ends here


def phrase_graph(phrases: dict[tuple[int, ...], float], num_symbols: int) -> BackoffGraph:
    """The automaton that finds phrases.

    With paid(q) what was paid in advance for the phrase that state q has begun, and found(q) the bonus of all phrases that
    end in q, an arc from q to r weighs ``found(r) + paid(r) - paid(q)``; backing off from q, or ending there, takes
    paid(q) back. So what was paid in advance cancels in every sentence.

    Args:
        phrases: Token ids -> nats per token.
        num_symbols: V.
    """
    nodes = _trie(phrases)
    order, failures = _breadth_first(nodes)
    numbers = {node: number for number, node in enumerate(order)}
    begun, paid, found = np.zeros((3, len(order)))
    sources, symbols, targets = [], [], []
    for number, node in enumerate(order):
        if number:
            # Where a phrase ends, the next one may have begun already; a phrase to avoid costs nothing in advance.
            paid[number] = max(begun[number], paid[failures[number]])
            found[number] = sum(nodes[node].bonus) + found[failures[number]]
        for token, child in sorted(nodes[node].children.items()):
            sources.append(number)
            symbols.append(token)
            targets.append(numbers[child])
            # Behind the end of a phrase that a longer one begins with, nothing is left in advance.
            if nodes[child].children and not nodes[child].bonus:
                begun[numbers[child]] = begun[number] + max(nodes[child].advance)
    arcs = np.array([sources, symbols, targets], dtype=np.int64).reshape(3, -1)
    low = np.maximum(failures, 0)
    finals = np.full(len(order), -np.inf)
    finals[0] = 0.0
    return BackoffGraph(
        num_symbols=num_symbols,
        start=0,
        arc_offsets=np.searchsorted(arcs[0], np.arange(len(order) + 1)),
        arc_symbols=arcs[1],
        arc_targets=arcs[2],
        arc_weights=found[arcs[2]] + paid[arcs[2]] - paid[arcs[0]],
        backoff_states=failures,
        backoff_weights=paid[low] - paid,
        final_weights=finals,
    )


def _trie(phrases: dict[tuple[int, ...], float]) -> list[_Node]:
    nodes = [_Node({}, [], [])]
    for tokens, boost in phrases.items():
        node = 0
        for token in tokens:
            if token not in nodes[node].children:
                nodes[node].children[token] = len(nodes)
                nodes.append(_Node({}, [], []))
            node = nodes[node].children[token]
            nodes[node].advance.append(boost)
        nodes[node].bonus.append(boost * len(tokens))
    return nodes


def _breadth_first(nodes: list[_Node]) -> tuple[list[int], np.ndarray]:
    """Nodes by depth, and for each place in that order that of the longest proper suffix that is a node; -1 for the root."""
    order, fail = [0], {0: -1}
    for node in order:
        for token, child in nodes[node].children.items():
            suffix = fail[node]
            while suffix >= 0 and token not in nodes[suffix].children:
                suffix = fail[suffix]
            fail[child] = nodes[suffix].children[token] if suffix >= 0 else 0
            order.append(child)
    numbers = {node: number for number, node in enumerate(order)} | {-1: -1}
    return order, np.array([numbers[fail[node]] for node in order])
