"""What decoding and scoring left in ``decode/<set>/``: error rates with their intervals, speed, utterances."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import speechkit.decode.scorers  # noqa: F401 - the searches and what they can be made of
from speechkit.config import ConfigError, changed, inline, validate
from speechkit.decode.base import Search
from speechkit.metrics.error_rate import ErrorRate, ScoreReport, Unit, score
from speechkit.text.scripts import has_ideograph

DECODE_AGAIN, SCORE_AGAIN = "decode the set again", "score the set again"


@dataclass(frozen=True)
class DecodedSet:
    """One folder ``decode/<set>``."""

    folder: Path
    rows: list[dict[str, Any]] = field(repr=False)
    """Of ``hyps.jsonl``."""
    facts: dict[str, Any] = field(repr=False)
    """Of ``decode.json``: search, speed, machine, date, command; empty if the file is absent."""

    @property
    def name(self) -> str:
        """The set's name."""
        return self.folder.name

    @cached_property
    def unit(self) -> Unit:
        """What errors are counted in: ``char`` where most references are written without spaces between words."""
        return "char" if 2 * sum(has_ideograph(row["ref"]) for row in self.rows) > len(self.rows) else "word"

    @cached_property
    def errors(self) -> ScoreReport:
        """Every utterance aligned, in this set's unit."""
        return self._score(self.unit)

    @cached_property
    def wer(self) -> ErrorRate:
        """Word error rate, from ``wer.json`` if the set was scored."""
        return self._rate("wer.json", "word")

    @cached_property
    def cer(self) -> ErrorRate:
        """Character error rate, from ``cer.json`` if the set was scored."""
        return self._rate("cer.json", "char")

    @property
    def main(self) -> tuple[str, ErrorRate]:
        """The rate that tells more in this set's language, and its name."""
        return ("CER", self.cer) if self.unit == "char" else ("WER", self.wer)

    @property
    def search(self) -> tuple[str, str]:
        """Name of the search, and those of its options that are not the defaults."""
        search = self.facts.get("search") or "–"
        if not isinstance(search, dict):
            return str(search), ""
        return str(search.get("name", "–")), ", ".join(f"{key} {inline(value)}" for key, value in _changed(search).items())

    def _rate(self, file: str, unit: Unit) -> ErrorRate:
        path = self.folder / file
        if path.exists():
            return _read_rate(path)
        return (self.errors if unit == self.unit else self._score(unit)).total

    def _score(self, unit: Unit) -> ScoreReport:
        return score([(row["id"], row["ref"], row["hyp"]) for row in self.rows], unit)


def read_sets(exp_dir: Path) -> list[DecodedSet]:
    """Every decoded set of an experiment, by name; sets without utterances are left out.

    Raises:
        ValueError: A file is corrupt; the message names it, and the line.
    """
    folders = sorted(path.parent for path in exp_dir.glob("decode/*/hyps.jsonl"))
    sets = [DecodedSet(folder, _read_rows(folder / "hyps.jsonl"), _facts(folder)) for folder in folders]
    return [each for each in sets if each.rows]


def _changed(search: dict[str, Any]) -> dict[str, Any]:
    try:
        return changed(validate(Search.registry[search.get("name")].Config, search))
    except (KeyError, ConfigError):  # one that an --import registered, or of another version: who knows its defaults
        return {key: value for key, value in search.items() if key != "name"}


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / "decode.json"
    return _read_json(path, DECODE_AGAIN) if path.exists() else {}


def _read_rate(path: Path) -> ErrorRate:
    """An ``ErrorRate.to_dict()``."""
    values = _read_json(path, SCORE_AGAIN)
    try:
        low, high = values["interval"]
        return ErrorRate(values["sub"], values["ins"], values["del"], values["ref_len"], interval=(low, high))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected the fields of an error rate, missing {error}; {SCORE_AGAIN}") from None


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    return _parse(path.read_bytes(), str(path), remedy, lambda value: isinstance(value, dict))


def _read_rows(path: Path) -> list[dict[str, Any]]:
    with open(path, "rb") as file:
        return [
            _parse(line, f"{path}:{i}", DECODE_AGAIN, _is_row) for i, line in enumerate(file, start=1) if line.strip()
        ]


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("id", "ref", "hyp"))


def _parse(text: bytes, source: str, remedy: str, is_right: Callable[[Any], bool]) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:  # neither JSON nor UTF-8
        raise ValueError(f"{source}: not valid JSON; {remedy}") from None
    if not is_right(value):
        raise ValueError(f"{source}: expected an object with the fields of this file, got {text[:60]!r}; {remedy}")
    return value
