"""Pronunciation lexicons: words and the phones that they are spoken with."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechkit.utils.files import atomic_write

_DECIMAL = re.compile(r"\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+")


@dataclass(frozen=True)
class Pronunciation:
    """One way to speak a word."""

    phones: tuple[str, ...]
    probability: float = 1.0
    """In (0, 1]; as in Kaldi, a word's pronunciations need not sum to 1 (its likeliest one often has 1)."""


class Lexicon(Mapping[str, tuple[Pronunciation, ...]]):
    """word -> its pronunciations, in the order of the file; the first is the one that tokenizers use."""

    def __init__(self, entries: Mapping[str, Sequence[Pronunciation]]) -> None:
        self._entries = {word: tuple(pronunciations) for word, pronunciations in entries.items()}

    def __getitem__(self, word: str) -> tuple[Pronunciation, ...]:
        return self._entries[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def phones(self) -> list[str]:
        """Every phone that occurs, sorted."""
        return sorted({phone for entry in self._entries.values() for spoken in entry for phone in spoken.phones})

    @classmethod
    def read(cls, path: Path | str) -> Lexicon:
        """Read lines ``word phone phone ...``, or ``word probability phone phone ...``, split at tabs or spaces.

        A word may have several lines; a repeated line counts once; empty lines are skipped. The first line decides
        whether the file has probabilities: a second field like ``0.5`` or ``1.0`` is one, a bare ``1`` is a phone.

        Raises:
            OSError: the file cannot be read.
            ValueError: naming file and line: no phones, a wrong or missing probability, not UTF-8, an empty file.
        """
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise type(error)(error.errno, f"{path}: cannot read the lexicon: {error.strerror}") from None
        return cls.parse(content, source=str(path))

    @classmethod
    def parse(cls, content: bytes, source: str = "lexicon") -> Lexicon:
        """Read a lexicon file's content; ``source`` names it in errors. See :meth:`read`."""
        entries: dict[str, list[Pronunciation]] = {}
        weighted: bool | None = None
        for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
            fields = _fields(line, where := f"{source}:{number}")
            if not fields:
                continue
            is_decimal = len(fields) > 1 and _DECIMAL.fullmatch(fields[1]) is not None
            weighted = is_decimal if weighted is None else weighted
            _add(entries.setdefault(fields[0], []), _pronunciation(fields, weighted, is_decimal, where))
        if not entries:
            raise ValueError(f"{source}: expected lines of a word and its phones, got an empty file")
        return cls(entries)

    def format(self) -> str:
        """The lexicon as text that :meth:`parse` reads back; probabilities only if one differs from 1."""
        weighted = any(spoken.probability != 1.0 for entry in self._entries.values() for spoken in entry)
        lines = []
        for word, entry in self._entries.items():
            for spoken in entry:
                probability = f"\t{_decimal(spoken.probability)}" if weighted else ""
                lines.append(f"{word}{probability}\t{' '.join(spoken.phones)}\n")
        return "".join(lines)

    def write(self, path: Path | str) -> None:
        """Write :meth:`format` atomically."""
        with atomic_write(path) as file:
            file.write(self.format())


def _fields(line: bytes, where: str) -> list[str]:
    try:
        # Not str.split(), which also splits at no-break spaces and the like.
        return [field for field in re.split("[ \t\r]+", line.decode("utf-8")) if field]
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: expected UTF-8 text, got byte {line[error.start]:#04x}; convert the file") from None


def _pronunciation(fields: list[str], weighted: bool, is_decimal: bool, where: str) -> Pronunciation:
    if is_decimal and not weighted:
        raise ValueError(f"{where}: expected no probability, as on the first line, got {fields[1]}; give all lines one")
    first_phone = 2 if weighted else 1
    if len(fields) <= first_phone:
        form = "word, probability and phones" if weighted else "word and phones"
        raise ValueError(f"{where}: expected {form}, got {' '.join(fields)!r}; complete or delete the line")
    probability = _probability(fields[1], where) if weighted else 1.0
    return Pronunciation(tuple(fields[first_phone:]), probability)


def _probability(field: str, where: str) -> float:
    if field != "1" and not _DECIMAL.fullmatch(field) or not 0 < float(field) <= 1:
        raise ValueError(f"{where}: expected a probability in (0, 1], as on the first line, got {field!r}; correct it")
    return float(field)


def _decimal(probability: float) -> str:
    """Shortest text that reads back as the same number and holds a decimal point (``1e-07`` does not)."""
    text = repr(probability)
    return text if "." in text else text.replace("e", ".0e")


def _add(entry: list[Pronunciation], new: Pronunciation) -> None:
    if new not in entry:
        entry.append(new)
