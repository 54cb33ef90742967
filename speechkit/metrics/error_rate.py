"""Word and character error rates: alignment, counts, a confidence interval and a readable report.

The rate is (substitutions + insertions + deletions) / reference units, summed over the utterances before dividing.
The alignment has the fewest errors (Levenshtein 1966), by kaldialign. Conventions, which are jiwer's too:

* words are what stands between spaces; characters are Unicode code points, and one space between words is a character
  (text of one script without spaces, like normalized Mandarin, has none);
* a test set without any reference unit has as its rate the number of insertions: 0 if nothing was recognised.
"""

from __future__ import annotations

import collections
import dataclasses
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import kaldialign
import numpy as np

Unit = Literal["word", "char"]
Pair = tuple[str | None, str | None]

_PLURAL = {"word": "words", "char": "characters"}

NUM_RESAMPLES = 1000
"""Bootstrap resamples behind an interval."""


@dataclasses.dataclass(frozen=True)
class ErrorRate:
    """Error counts of a test set."""

    sub: int
    """Substitutions."""
    ins: int
    """Insertions: in the hypothesis only."""
    del_: int
    """Deletions: in the reference only."""
    ref_len: int
    """Units (words or characters) in the references."""
    interval: tuple[float, float]
    """95 % bootstrap interval of the rate over utterances; one utterance alone gives no width."""

    @property
    def errors(self) -> int:
        """Substitutions, insertions and deletions."""
        return self.sub + self.ins + self.del_

    @property
    def rate(self) -> float:
        """Errors per reference unit, from 0 (perfect) up; above 1 if insertions abound."""
        return self.errors / max(self.ref_len, 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; rates are fractions, not percent."""
        counts = {"errors": self.errors, "sub": self.sub, "ins": self.ins, "del": self.del_, "ref_len": self.ref_len}
        return {"rate": self.rate, "interval": list(self.interval), **counts}


@dataclasses.dataclass(frozen=True)
class UtteranceErrors:
    """One utterance's alignment and error counts."""

    id: str
    alignment: list[Pair]
    """(reference unit, hypothesis unit); None stands where one side has nothing."""
    sub: int
    ins: int
    del_: int
    ref_len: int

    @property
    def errors(self) -> int:
        """Substitutions, insertions and deletions."""
        return self.sub + self.ins + self.del_


@dataclasses.dataclass(frozen=True)
class ScoreReport:
    """What :func:`score` found."""

    unit: Unit
    total: ErrorRate
    utterances: list[UtteranceErrors]
    """In the order given."""
    confusions: collections.Counter[tuple[str, str]]
    """How often a reference unit (first) was recognised as another (second)."""

    def to_text(self, top: int = 20) -> str:
        """A report to read: the rate, the ``top`` most frequent errors, and every utterance with errors, aligned."""
        wrong = [utterance for utterance in self.utterances if utterance.errors]
        perfect = f"{len(self.utterances) - len(wrong)} of {len(self.utterances)} utterances have no error."
        parts = [f"{_summary(self.total, self.unit)}\n{perfect}", *self._tables(top), *map(_aligned_text, wrong)]
        return "\n\n".join(parts) + "\n"

    def _tables(self, top: int) -> list[str]:
        pairs = [pair for utterance in self.utterances for pair in utterance.alignment]
        deleted = collections.Counter(ref for ref, hyp in pairs if hyp is None)
        inserted = collections.Counter(hyp for ref, hyp in pairs if ref is None)
        confused = {f"{_shown(ref)} -> {_shown(hyp)}": count for (ref, hyp), count in self.confusions.items()}
        tables = (("confused", confused), ("deleted", _named(deleted)), ("inserted", _named(inserted)))
        return [_table(f"Most {title} {_PLURAL[self.unit]}", counts, top) for title, counts in tables if counts]


def align(ref: Sequence[str], hyp: Sequence[str]) -> list[Pair]:
    """Align two sequences with the fewest substitutions, insertions and deletions.

    Args:
        ref: Reference units.
        hyp: Hypothesis units.

    Returns:
        Pairs in order; ``(unit, None)`` is a deletion, ``(None, unit)`` an insertion.
    """
    ids = {unit: index for index, unit in enumerate(dict.fromkeys([*ref, *hyp]), start=1)}
    units = [None, *ids]  # kaldialign gets numbers, so that no word can be mistaken for its sign for "nothing", 0
    pairs = kaldialign.align([ids[unit] for unit in ref], [ids[unit] for unit in hyp], 0)
    return [(units[r], units[h]) for r, h in pairs]


def split_units(text: str, unit: Unit) -> list[str]:
    """The words of ``text``, or its characters with one space between words.

    Raises:
        ValueError: ``unit`` is neither ``word`` nor ``char``.
    """
    if unit not in ("word", "char"):
        raise ValueError(f"unit: expected 'word' or 'char', got {unit!r}")
    words = text.split()
    return words if unit == "word" else list(" ".join(words))


def score(pairs: Iterable[tuple[str, str, str]], unit: Unit = "word", seed: int = 0) -> ScoreReport:
    """Score hypotheses against references.

    Args:
        pairs: (utterance id, reference, hypothesis), texts normalized alike; ids are unique.
        unit: ``word`` for the word error rate, ``char`` for the character error rate.
        seed: Of the bootstrap.

    Raises:
        ValueError: no utterances, an id given twice, an unknown unit.
    """
    pairs = _checked(pairs)
    utterances = [_score_one(id, split_units(ref, unit), split_units(hyp, unit)) for id, ref, hyp in pairs]
    counts = np.array([(each.sub, each.ins, each.del_, each.ref_len) for each in utterances])
    wrong = (pair for each in utterances if each.sub for pair in each.alignment)
    confusions = collections.Counter(pair for pair in wrong if _mark(pair) == "S")
    return ScoreReport(unit, _total(counts, seed), utterances, confusions)


def error_rate(pairs: Iterable[tuple[str, str, str]], unit: Unit = "word", seed: int = 0) -> ErrorRate:
    """``score(pairs, unit, seed).total`` without keeping alignments: some 4 times faster, little memory."""
    counts = [_counts(split_units(ref, unit), split_units(hyp, unit)) for _, ref, hyp in _checked(pairs)]
    return _total(np.array(counts), seed)


def bootstrap_interval(errors: np.ndarray, ref_lens: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the rate by resampling utterances with replacement (Bisani and Ney 2004).

    A resample only needs to know how often it drew each distinct (errors, length); these numbers are multinomial. So
    the cost grows with the number of distinct pairs, and the order of the utterances plays no role.

    Args:
        errors: (N,) errors of each utterance.
        ref_lens: (N,) reference units of each utterance.
        seed: Of the resampling.

    Returns:
        The 2.5 % and 97.5 % quantiles of the resampled rates, fractions.
    """
    distinct, counts = np.unique(np.stack([errors, ref_lens], axis=1), axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(errors), counts / len(errors), size=NUM_RESAMPLES)
    sums = draws @ distinct  # (resamples, 2)
    low, high = np.quantile(sums[:, 0] / np.maximum(sums[:, 1], 1), [0.025, 0.975])
    return float(low), float(high)


def _checked(pairs: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    pairs = list(pairs)
    if not pairs:
        raise ValueError("score: expected at least one utterance, got none; was anything decoded?")
    id, count = collections.Counter(id for id, _, _ in pairs).most_common(1)[0]
    if count > 1:
        raise ValueError(f"score: expected every utterance once, got {id!r} {count} times; remove the repeated ones")
    return pairs


def _score_one(id: str, ref: list[str], hyp: list[str]) -> UtteranceErrors:
    if ref == hyp:
        return UtteranceErrors(id, list(zip(ref, hyp)), 0, 0, 0, len(ref))
    alignment = align(ref, hyp)
    kinds = collections.Counter(_mark(pair) for pair in alignment)
    return UtteranceErrors(id, alignment, kinds["S"], kinds["I"], kinds["D"], len(ref))


def _counts(ref: list[str], hyp: list[str]) -> tuple[int, int, int, int]:
    if ref == hyp:
        return 0, 0, 0, len(ref)
    counts = kaldialign.edit_distance(ref, hyp)
    return counts["sub"], counts["ins"], counts["del"], len(ref)


def _total(counts: np.ndarray, seed: int) -> ErrorRate:
    """``counts`` (N, 4): substitutions, insertions, deletions and reference length of each utterance."""
    interval = bootstrap_interval(counts[:, :3].sum(axis=1), counts[:, 3], seed)
    return ErrorRate(*(int(count) for count in counts.sum(axis=0)), interval=interval)


# --- text ---------------------------------------------------------------------------------------------------------


def _mark(pair: Pair) -> str:
    ref, hyp = pair
    return "I" if ref is None else "D" if hyp is None else "" if ref == hyp else "S"


def _shown(unit: str | None) -> str:
    return "\u2423" if unit == " " else unit  # a space as a sign that can be seen


def _named(counts: collections.Counter[str]) -> dict[str, int]:
    return {_shown(unit): count for unit, count in counts.items()}


def display_width(text: str) -> int:
    """Columns of ``text`` in a terminal: two for a wide (Chinese, Japanese, Korean) character, none for a mark."""
    marks = sum(unicodedata.category(char) in ("Mn", "Me", "Cf") for char in text)
    wide = sum(unicodedata.east_asian_width(char) in ("W", "F") for char in text)
    return len(text) - marks + wide


def _padded(text: str, width: int) -> str:
    return text + " " * (width - display_width(text))


def _summary(total: ErrorRate, unit: Unit) -> str:
    low, high = total.interval
    kinds = f"{total.sub} sub, {total.ins} ins, {total.del_} del"
    counts = f"{total.errors} errors: {kinds}; {total.ref_len} reference {_PLURAL[unit]}"
    return f"{unit[0].upper()}ER {total.rate:.2%} (95 % interval {low:.2%} to {high:.2%}; {counts})"


def _table(title: str, counts: dict[str, int], top: int) -> str:
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:top]
    width = max(display_width(name) for name, _ in rows)
    return "\n".join([f"{title}:", *(f"  {_padded(name, width)}  {count}" for name, count in rows)])


def _aligned_text(utterance: UtteranceErrors) -> str:
    """Reference over hypothesis over the kinds of errors, in columns; stars stand where one side has nothing."""
    lines = ["ref:", "hyp:", "    "]
    for ref, hyp in utterance.alignment:
        width = max(display_width(_shown(unit)) for unit in (ref, hyp) if unit is not None)
        for row, unit in enumerate((ref, hyp)):
            lines[row] += f" {_padded('*' * width if unit is None else _shown(unit), width)}"
        lines[2] += f" {_padded(_mark((ref, hyp)), width)}"
    heading = f"{utterance.id}: {utterance.sub} sub, {utterance.ins} ins, {utterance.del_} del of {utterance.ref_len}"
    return "\n".join([heading, *(line.rstrip() for line in lines)])
