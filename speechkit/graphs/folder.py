"""Decoding graphs as folders: the transducers, their symbols, the language model, and checksums of what they were made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.graphs.arpa import ngram_counts, read_arpa, symbol_names, write_arpa
from speechkit.graphs.backoff import BackoffGraph
from speechkit.graphs.decoding_graph import compose_lg, compose_topology
from speechkit.graphs.grammar import grammar_fst
from speechkit.graphs.lexicon_fst import lexicon_fst
from speechkit.graphs.ngram import NGram
from speechkit.graphs.spelling import Spellings
from speechkit.graphs.topology import TOPOLOGIES, label
from speechkit.graphs.wfst import Wfst
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.files import atomic_write, sha256

_FACTS, _LEXICON, _ARPA, _LG = "graph.json", "lexicon.json", "lm.arpa", "LG.fst"
_AGAIN = "run `speechkit graph` again"


def word_names(spellings: Spellings) -> list[str]:
    """The words by their ids, as :func:`speechkit.graphs.arpa.read_arpa` takes them."""
    return ["<eps>", "<unk>", *spellings.ids, "</s>"]


def fst_name(topology: str) -> str:
    """What the file of the whole graph is called: TLG for the topology of CTC, HLG for that of HMMs."""
    return {"ctc": "TLG.fst", "hmm": "HLG.fst"}[topology]


@dataclass(frozen=True, eq=False)
class DecodingGraph:
    """What a search needs of a graph.

    Args:
        folder: Where it lies.
        fst: From labels of frames to words.
        spellings: Of its words.
        tokens: Of the model that it was made for, by their ids.
    """

    folder: Path
    fst: Wfst
    spellings: Spellings
    tokens: list[str] = field(repr=False)

    @staticmethod
    def read(folder: Path) -> DecodingGraph:
        """Read what :func:`write_graph` wrote.

        Raises:
            ValueError: It is no graph, not whole, or a file was altered.
        """
        if not (folder / _FACTS).is_file():
            got = "a folder without graph.json" if folder.is_dir() else "nothing"
            first = "run `speechkit graph` for one, or give search.graph the folder that it wrote"
            raise ValueError(f"{folder}: expected the folder of a decoding graph, got {got}; {first}")
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        for name, expected in facts["files"].items():
            if not (folder / name).is_file() or sha256(folder / name) != expected:
                raise ValueError(f"{folder / name}: expected the file that the graph was written with; restore it, or {_AGAIN}")
        lexicon = json.loads((folder / _LEXICON).read_text(encoding="utf-8"))
        words = {word: {tuple(tokens): cost for tokens, cost in entry} for word, entry in lexicon["words"].items()}
        spellings = Spellings(words, tuple(lexicon["separator"]))
        return DecodingGraph(folder, Wfst.read(folder / fst_name(facts["topology"])), spellings, facts["tokens"])

    def check_tokens(self, vocabulary: Vocabulary, tokenizer: Tokenizer | None) -> None:
        """Refuse a model whose tokens are not those that the graph was made of.

        Raises:
            ValueError: Naming the first one that differs.
        """
        if len(self.tokens) != vocabulary.size:
            raise ValueError(
                f"{self.folder}: expected a graph over the {vocabulary.size} tokens of the model, got one over "
                f"{len(self.tokens)}; {_AGAIN} for this model"
            )
        for number, (ours, theirs) in enumerate(zip(self.tokens, self.tokens if tokenizer is None else tokenizer.tokens)):
            if ours != theirs:
                raise ValueError(
                    f"{self.folder}: expected a graph over the tokens of the model, whose token {number} is {theirs!r}, got "
                    f"one with {ours!r}; {_AGAIN} for this model"
                )

    @cached_property
    def names(self) -> list[str]:
        """The words by their ids."""
        return word_names(self.spellings)

    def words(self, ids: np.ndarray) -> list[str]:
        """The words of a path; 0 is none."""
        return [self.names[number] for number in ids if number > 0]

    def language_model(self) -> BackoffGraph:
        """The language model that the graph was made of."""
        return read_arpa(self.folder / _ARPA, self.names).graph

    def read_arpa(self, path: Path) -> BackoffGraph:
        """Another language model over the graph's words; n-grams with other words are left out.

        Raises:
            ValueError: It lacks words of the graph.
        """
        model = read_arpa(path, self.names, unknown="skip").graph
        known = set(model.arc_symbols[: model.arc_offsets[1]].tolist())
        check_words([word for word, number in self.spellings.ids.items() if number not in known], str(path), "a 1-gram")
        return model


def check_words(missing: Sequence[str], where: str, what: str, remedy: str = "add them") -> None:
    """Refuse a file that lacks words.

    Raises:
        ValueError: Naming the first ones and their number.
    """
    if missing:
        shown = ", ".join(map(repr, missing[:5])) + (" ..." if len(missing) > 5 else "")
        raise ValueError(f"{where}: expected {what} for every word, got none for {len(missing)} of them: {shown}; {remedy}")


def write_graph(
    folder: Path, tokenizer: Tokenizer, spellings: Spellings, model: NGram, topology: str, sources: dict[str, Any]
) -> dict[str, Any]:
    """Compose a graph and write it: the transducers, symbol tables, lexicon and language model; ``graph.json`` last.

    Args:
        folder: An older graph in it is replaced.
        tokenizer: Of the acoustic model.
        spellings: Of all words of the language model.
        model: The language model, over the ids of ``spellings``.
        topology: One of :data:`speechkit.graphs.topology.TOPOLOGIES`.
        sources: What is to be said of where all this came from.

    Returns:
        What ``graph.json`` holds.
    """
    vocab_size = tokenizer.vocab_size
    lg = compose_lg(lexicon_fst(spellings, vocab_size), grammar_fst(model.graph, spellings.backoff_label), vocab_size)
    fst = compose_topology(TOPOLOGIES[topology](vocab_size, tokenizer.blank_id), lg)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FACTS).unlink(missing_ok=True)  # while files of two graphs lie there, there is none
    whole, names = fst_name(topology), word_names(spellings)
    lg.write(folder / _LG)
    fst.write(folder / whole)
    write_arpa(folder / _ARPA, model, names)
    lexicon = {word: [[list(tokens), cost] for tokens, cost in entry.items()] for word, entry in spellings.words.items()}
    _write_json(folder / _LEXICON, {"separator": list(spellings.separator), "words": lexicon})
    _write_symbols(folder / "words.txt", enumerate([*names, "#0"]))
    labels = [(label(number), name) for number, name in enumerate(symbol_names(tokenizer.tokens))]
    _write_symbols(folder / "tokens.txt", [(0, "<eps>"), *labels])
    files = [whole, _LG, _ARPA, _LEXICON, "words.txt", "tokens.txt"]
    facts = {
        "topology": topology,
        "order": model.order,
        "words": len(spellings.ids),
        "ngrams": ngram_counts(model),
        "states": {"LG": lg.num_states, "graph": fst.num_states},
        "arcs": {"LG": lg.num_arcs, "graph": fst.num_arcs},
        "sources": sources,
        "files": {name: sha256(folder / name) for name in files},
        "tokens": tokenizer.tokens,
    }
    _write_json(folder / _FACTS, facts)
    return facts


def _write_json(path: Path, value: Any) -> None:
    with atomic_write(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=None if path.name == _LEXICON else 1)


def _write_symbols(path: Path, symbols: Any) -> None:
    with atomic_write(path) as file:
        file.writelines(f"{name} {number}\n" for number, name in symbols)
