"""ARPA files: n-gram models as text, as SRILM, KenLM and Kaldi write and read them. ``.gz`` is packed."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Literal

import numpy as np

from speechkit.graphs.ngram import NGram
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.files import atomic_path

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
_LN10 = math.log(10.0)
_NEVER = -99.0  # log10 p of <s>, by convention: no model predicts it


def symbol_names(tokens: Sequence[str]) -> list[str]:
    """How tokens are written in ARPA files: spaces, which separate there, as ``<space>``.

    Raises:
        ValueError: two tokens would be written alike.
    """
    names = [re.sub(r"\s", lambda found: "<space>" if found[0] == " " else f"<U+{ord(found[0]):04X}>", t) for t in tokens]
    names = [name or "<empty>" for name in names]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"ARPA: expected tokens that can be told apart, got two that are written {twice!r}")
    return names


def ngram_counts(model: NGram) -> list[int]:
    """How many 1-grams, 2-grams ... the file of a model has; ``<s>`` and ``</s>``, one node here, are two there."""
    ones, *others = (int(size) for size in np.diff(model.level_offsets)[1:])
    return [ones + 1, *others]


def write_arpa(path: Path | str, model: NGram, names: Sequence[str]) -> None:
    """Write a model; the file is whole or not there.

    Args:
        path: Packed if it ends in ``.gz``.
        model: What to write.
        names: (V,) of the symbols, without white space; those of the blank and of the last id are not used.

    Raises:
        ValueError: the names do not fit the model.
    """
    if len(names) != model.vocabulary.size:
        raise ValueError(f"{path}: expected {model.vocabulary.size} names of symbols, got {len(names)}")
    with atomic_path(path) as partial, _writing(partial) as file:
        file.write("\\data\\\n")
        for length, count in enumerate(ngram_counts(model), start=1):
            file.write(f"ngram {length}={count}\n")
        for length in range(1, model.order + 1):
            file.write(f"\n\\{length}-grams:\n")
            file.writelines(_lines(model, length, names))
        file.write("\n\\end\\\n")


def _lines(model: NGram, length: int, names: Sequence[str]) -> Iterator[str]:
    level, eos = model.level(length), model.vocabulary.eos_id
    spelled = list(names)
    spelled[eos] = START
    parts = (model.ngrams(length), model.log_probs[level] / _LN10, model.log_backoffs[level] / _LN10)
    for ngram, log_prob, log_backoff in zip(*(part.tolist() for part in parts)):
        words = [spelled[symbol] for symbol in ngram]
        backoff = f"\t{log_backoff:.12g}" if log_backoff else ""
        if ngram[-1] != eos:
            yield f"{log_prob:.12g}\t{' '.join(words)}{backoff}\n"
            continue
        yield f"{log_prob:.12g}\t{' '.join([*words[:-1], END])}\n"
        if length == 1:
            yield f"{_NEVER:g}\t{START}{backoff}\n"


def read_names(path: Path | str) -> list[str]:
    """The names of all 1-grams in the order of the file, without ``<s>`` and ``</s>``."""
    return [words[0] for _, length, words, _, _ in _Reader(path).entries() if length == 1 and words[0] not in (START, END)]


def read_arpa(
    path: Path | str,
    names: Sequence[str],
    vocabulary: Vocabulary | None = None,
    unknown: Literal["error", "skip"] = "error",
) -> NGram:
    """Read a model.

    Args:
        path: Packed if it ends in ``.gz``.
        names: (V,) of the symbols, by their ids; those of the blank and of the last id are not used. ``<UNK>`` in
            the file is ``<unk>``. Symbols that the file lacks have no 1-gram in the model.
        vocabulary: Ids that are special; by default the blank is 0.
        unknown: Words of the file that are no symbols: ``error``, or ``skip`` all n-grams with them.

    Raises:
        ValueError: the file is no ARPA file, is damaged, or has a word that is no symbol; the message says where.
        OSError: it cannot be read.
    """
    vocabulary = vocabulary or Vocabulary(len(names))
    ids = {name: index for index, name in enumerate(names) if index not in (vocabulary.blank_id, vocabulary.eos_id)}
    ids |= {"<UNK>": ids[UNKNOWN]} if UNKNOWN in ids and "<UNK>" not in ids else {}
    ids |= {START: vocabulary.sos_id, END: vocabulary.eos_id}
    reader, tables = _Reader(path), _Tables(vocabulary)
    for line, length, words, log_prob, log_backoff in reader.entries():
        symbols = [ids.get(word, -1) for word in words]
        if -1 in symbols:
            if unknown == "skip":
                continue
            raise ValueError(
                f"{path}:{line}: expected words that are symbols of the model, got {words[symbols.index(-1)]!r}, which none "
                f"of its {vocabulary.size} symbols is; take a language model over the same symbols"
            )
        tables.add(reader, line, length, words, symbols, log_prob, log_backoff)
    return tables.finish(path)


class _Tables:
    """Collects the n-grams of a file, by length."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.nodes: list[dict[tuple[int, ...], list[float]]] = []

    def add(
        self, reader: _Reader, line: int, length: int, words: list[str], symbols: list[int], log_prob: float, backoff: float
    ) -> None:
        while len(self.nodes) < length:
            self.nodes.append({})
        ngram, table = tuple(symbols), self.nodes[length - 1]
        known = table.get(ngram)
        if self.vocabulary.eos_id in ngram:
            if START in words[1:] or END in words[:-1]:
                reader.fail(line, f"<s> only as the first and </s> only as the last of an n-gram, got {' '.join(words)}")
            if length == 1:  # <s> has the backoff weight, </s> the probability
                place, value = (1, backoff) if words == [START] else (0, log_prob)
                table[ngram] = known or [math.nan, math.nan]
                known = None if math.isnan(table[ngram][place]) else known
                table[ngram][place] = value
        if known:
            reader.fail(line, f"each n-gram once, got {' '.join(words)!r} again")
        if length > 1 and ngram[:-1] not in self.nodes[length - 2]:
            reader.fail(line, f"the {length - 1}-gram {' '.join(words[:-1])!r} that {' '.join(words)!r} begins with, got none")
        table.setdefault(ngram, [log_prob, backoff])

    def finish(self, path: Path | str) -> NGram:
        marks = self.nodes[0].get((self.vocabulary.eos_id,), [math.nan, math.nan])
        for name, value in zip((END, START), marks):
            if math.isnan(value):
                raise ValueError(f"{path}: expected a 1-gram {name}, got none; estimate the model with sentence boundaries")
        offsets, numbers = [0, 1], {(): 0}
        prefixes, symbols, values = [-1], [-1], [[0.0, 0.0]]
        for table in self.nodes:
            ngrams = sorted(table)  # as tuples they are in the order of their prefixes' nodes, then of their last symbols
            prefixes += [numbers[ngram[:-1]] for ngram in ngrams]
            symbols += [ngram[-1] for ngram in ngrams]
            values += [table[ngram] for ngram in ngrams]
            numbers = {ngram: index for index, ngram in enumerate(ngrams, start=offsets[-1])}
            offsets.append(offsets[-1] + len(ngrams))
        log_probs, log_backoffs = np.array(values).T * _LN10
        arrays = (np.array(offsets), np.array(prefixes), np.array(symbols), log_probs, log_backoffs)
        return NGram(self.vocabulary, *arrays)


class _Reader:
    """The entries of a file, each checked on its own; the file's counts and sections checked as a whole."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def fail(self, line: int, problem: str) -> None:
        """Raise the error that ``problem`` (what was expected, what was found) is."""
        raise ValueError(f"{self.path}:{line}: expected {problem}; the file is damaged or no ARPA file: write it again")

    def entries(self) -> Iterator[tuple[int, int, list[str], float, float]]:
        """(line, n, words, log10 p, log10 backoff) of every n-gram."""
        try:
            with _reading(self.path) as file:
                yield from self._entries(file)
        except (EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
            raise ValueError(f"{self.path}: cannot be read: {error}; write it again") from None

    def _entries(self, file: IO[str]) -> Iterator[tuple[int, int, list[str], float, float]]:
        promised: list[int] = []
        length, count, line = 0, 0, 0
        section = "before"
        for line, text in enumerate(file, start=1):
            text = text.strip(" \t\r\n")
            if section == "before":
                section = "data" if text == "\\data\\" else section
            elif not text:
                continue
            elif text == "\\end\\" or text.endswith("-grams:"):
                self._check_count(line, length, count, promised)
                length, count, section = length + 1, 0, "ngrams"
                if text == "\\end\\":
                    if length != len(promised) + 1 or not promised:
                        self.fail(line, f"a section \\{length}-grams:, got \\end\\")
                    return
                if text != f"\\{length}-grams:" or length > len(promised):
                    self.fail(line, f"\\end\\ or \\{length}-grams: as \\data\\ announces, got {text}")
            elif section == "data":
                promised.append(self._promise(line, text, len(promised) + 1))
            else:
                count += 1
                yield self._entry(line, text, length, longest=length == len(promised))
        self.fail(line, "\\data\\, got the end of the file" if section == "before" else "\\end\\, got the end of the file")

    def _promise(self, line: int, text: str, length: int) -> int:
        found = re.fullmatch(r"ngram\s+(\d+)\s*=\s*(\d+)", text)
        if not found or int(found[1]) != length:
            self.fail(line, f"'ngram {length}=COUNT' or a section, got {text!r}")
        return int(found[2])

    def _check_count(self, line: int, length: int, count: int, promised: list[int]) -> None:
        if length and count != promised[length - 1]:
            self.fail(line, f"{promised[length - 1]} {length}-grams before this line, as \\data\\ says, got {count}")

    def _entry(self, line: int, text: str, length: int, longest: bool) -> tuple[int, int, list[str], float, float]:
        fields = [field for field in text.replace("\t", " ").split(" ") if field]
        if len(fields) not in (length + 1, length + 2) or (longest and len(fields) == length + 2):
            what = "" if longest else " and perhaps a backoff weight"
            self.fail(line, f"a log-probability and {length} word(s){what}, got {text!r}")
        log_prob = self._number(line, fields[0])
        log_backoff = self._number(line, fields[length + 1]) if len(fields) == length + 2 else 0.0
        if not (-math.inf < log_prob <= 0 or fields[1:2] == [START]):
            self.fail(line, f"a finite log-probability of at most 0, got {fields[0]}")
        if not math.isfinite(log_backoff):
            self.fail(line, f"a finite backoff weight, got {fields[-1]}")
        return line, length, fields[1 : length + 1], log_prob, log_backoff

    def _number(self, line: int, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            self.fail(line, f"a number, got {text!r}")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[IO[str]]:
    # Only a line feed ends a line: words may hold what Unicode calls line separators.
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as file:
        yield file


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[IO[str]]:
    with open(path, "wb") as plain, contextlib.ExitStack() as stack:
        # Neither name nor time in the header: the same model gives the same bytes.
        packed = stack.enter_context(gzip.GzipFile("", "wb", fileobj=plain, mtime=0)) if path.suffix == ".gz" else plain
        yield stack.enter_context(io.TextIOWrapper(packed, encoding="utf-8", newline="\n"))
