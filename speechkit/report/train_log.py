"""What ``train.jsonl`` says: columns of steps and validations, and the events between them.

A run that was resumed from a checkpoint repeats the steps after it; the rows of the first time are dropped, so that
every step is there once. A last line that a crash left unfinished is left out, and said.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

NO_MEASUREMENT = frozenset({"step", "epoch"})


class Track:
    """Rows of one kind of event as columns, compact enough for millions of steps; an absent value is NaN."""

    def __init__(self) -> None:
        self.columns: dict[str, array] = {}
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: str) -> np.ndarray:
        """(N,) float64; ``losses/ctc`` is a key inside a mapping; an unknown key gives NaN."""
        return np.array(self.columns[key]) if key in self.columns else np.full(self.size, math.nan)

    def names(self) -> list[str]:
        """Keys that hold measurements, in the order of their first appearance."""
        return [key for key in self.columns if key not in NO_MEASUREMENT]

    def append(self, row: dict[str, Any]) -> None:
        """Add a row of the file; what is no number is left out."""
        for key, value in _flatten(row):
            if key not in self.columns:
                self.columns[key] = array("d", [math.nan]) * self.size
            self.columns[key].append(value)
        self.size += 1
        for column in self.columns.values():
            if len(column) < self.size:
                column.append(math.nan)

    def forget_after(self, step: int) -> int:
        """Drop the rows after ``step``, which the run did once more; returns how many."""
        steps, before = self.columns.get("step", array("d")), self.size
        while self.size and steps[-1] > step:
            for column in self.columns.values():
                column.pop()
            self.size -= 1
        return before - self.size


@dataclass
class TrainLog:
    """One run's training."""

    steps: Track = field(default_factory=Track)
    valids: Track = field(default_factory=Track)
    events: list[dict[str, Any]] = field(default_factory=list)
    """All other rows, in order: start, resume, skip, overflow, note, stop, end. A resume has ``repeated``, the steps done
    twice."""
    notes: list[str] = field(default_factory=list)
    """What the reader must know about the file itself."""
    first: dict[str, Any] = field(default_factory=dict)
    """The first row of the file."""
    last: dict[str, Any] = field(default_factory=dict)
    """The last readable row of the file."""

    def __bool__(self) -> bool:
        return bool(self.last)

    def add(self, row: dict[str, Any]) -> None:
        """Take the next row of the file."""
        self.first, self.last = self.first or row, row
        if row["event"] == "step":
            self.steps.append(row)
        elif row["event"] == "valid":
            self.valids.append(row)
        else:
            self.events.append(row | self._repeated(row))

    def _repeated(self, row: dict[str, Any]) -> dict[str, int]:
        if row["event"] not in ("start", "resume"):
            return {}
        self.valids.forget_after(row["step"])
        return {"repeated": self.steps.forget_after(row["step"])}


def read_train_log(path: Path) -> TrainLog:
    """Read a ``train.jsonl``, whole or cut short; an absent file gives an empty log."""
    log, bad, number = TrainLog(), [], 0
    if not path.exists():
        return log
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            row = _parse(line)
            if row is not None:
                log.add(row)
            elif line.strip():
                bad.append(number)
    if bad and bad[-1] == number:
        log.notes.append(
            f"{path.name}: the last line (line {bad.pop()}) is cut short, as after a crash; it is left out"
        )
    if bad:
        shown = ", ".join(map(str, bad[:10])) + (" …" if len(bad) > 10 else "")
        log.notes.append(f"{path.name}: {len(bad)} unreadable lines are left out (line {shown})")
    return log


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:  # neither JSON nor UTF-8
        return None
    is_row = isinstance(row, dict) and isinstance(row.get("event"), str) and isinstance(row.get("step"), int)
    return row if is_row else None


def _flatten(row: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) or value in ("nan", "inf", "-inf"):  # JSON has no words for the latter
            yield prefix + key, float(value)
