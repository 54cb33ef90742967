"""What a voice has said of its test sets: the folders ``synthesis/<set>`` of an experiment, for those who judge and show it.

Beside ``utterances.jsonl``, a line for each utterance, and ``synthesis.json``, facts of the whole set, lie the recordings
that the voice and its vocoder made, and the alignments of voices that attend.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from speechkit.data.audio import resample

KINDS = ("natural", "vocoded", "synthesised")
"""The recording, what the vocoder makes of the recording's own features, and what the voice makes of the text."""


@dataclass(frozen=True)
class SpokenSet:
    """One folder ``synthesis/<set>``."""

    folder: Path
    rows: list[dict[str, Any]] = field(repr=False)
    """Of ``utterances.jsonl``."""
    facts: dict[str, Any] = field(repr=False)
    """Of ``synthesis.json``: speed, parameters, vocoder, machine; empty if the file is absent."""

    @property
    def name(self) -> str:
        """The set's name."""
        return self.folder.name

    @property
    def remedy(self) -> str:
        """What to do about damaged files."""
        return f"run `speechkit synthesize {self.folder.parents[1]}` again"

    def kinds(self) -> list[str]:
        """Which of :data:`KINDS` there are, of one utterance at least."""
        return [kind for kind in KINDS if any(self.place(row, kind) for row in self.rows)]

    def place(self, row: dict[str, Any], kind: str) -> dict[str, Any] | None:
        """Where to hear an utterance: path, and start, duration (seconds) and channel of a part of a file; or None."""
        if kind == "natural":
            return row.get("natural")
        name = row["wav"] if kind == "synthesised" else row.get("vocoded")
        return {"path": str(self.folder / name)} if name else None

    def read(self, row: dict[str, Any], kind: str, sampling_rate: int) -> np.ndarray | None:
        """The samples (L,) float32 of an utterance, whatever they are; None where it has none of this kind.

        Raises:
            ValueError: The file is missing or cannot be read; the message names the utterance.
        """
        place = self.place(row, kind)
        try:
            return None if place is None else read_place(place, sampling_rate)
        except (soundfile.LibsndfileError, OSError, IndexError) as error:  # the last: no such channel
            reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
            remedy = "restore the recordings" if kind == "natural" else self.remedy
            what = f"utterance {row['id']}: expected {kind} speech in {place['path']}"
            raise ValueError(f"{what}, got: {reason}; {remedy}") from None

    def alignment(self, row: dict[str, Any]) -> np.ndarray | None:
        """To which token each step attends, (S, U) float32; None where the voice does not attend.

        Raises:
            ValueError: The file is missing or damaged; the message names it.
        """
        if not row.get("alignment"):
            return None
        path = self.folder / row["alignment"]
        try:
            weights = np.load(path, allow_pickle=False).astype(np.float32)
        except (OSError, EOFError, ValueError) as error:
            what = f"{path}: expected an alignment of utterance {row['id']}"
            raise ValueError(f"{what}, got: {error}; {self.remedy}") from None
        if weights.ndim != 2:
            raise ValueError(f"{path}: expected an alignment (steps, tokens), got {weights.shape}; {self.remedy}")
        return weights


def read_place(place: dict[str, Any], sampling_rate: int) -> np.ndarray:
    """The samples (L,) float32 at a place; several channels are averaged unless it names one, from 0."""
    with soundfile.SoundFile(place["path"]) as file:
        file.seek(round(place.get("start", 0.0) * file.samplerate))
        count = -1 if place.get("duration") is None else round(place["duration"] * file.samplerate)
        samples = file.read(count, dtype="float32", always_2d=True)
        channel = place.get("channel")
        mono = samples.mean(axis=1) if channel is None else samples[:, channel]
        return resample(np.ascontiguousarray(mono), file.samplerate, sampling_rate)


def find_spoken_sets(exp_dir: Path) -> list[SpokenSet]:
    """Every set that an experiment has spoken, by name; those without utterances are left out.

    Raises:
        ValueError: A file is damaged; the message names it, and the line.
    """
    again = f"run `speechkit synthesize {exp_dir}` again"
    found = []
    for path in sorted(exp_dir.glob("synthesis/*/utterances.jsonl")):
        facts = path.with_name("synthesis.json")
        values = parse(facts.read_bytes(), str(facts), again, {}) if facts.exists() else {}
        if rows := read_rows(path, again, {"id": str, "text": str, "wav": str}):
            found.append(SpokenSet(path.parent, rows, values))
    return found


def choose_spoken_sets(exp_dir: Path, names: Sequence[str] = ()) -> list[SpokenSet]:
    """The sets of these names, or all.

    Raises:
        ValueError: Nothing was spoken yet, or a name is none of a set.
    """
    found = {each.name: each for each in find_spoken_sets(exp_dir)}
    if not found:
        raise ValueError(
            f"{exp_dir}/synthesis: expected sets that the voice has spoken, found none; "
            f"run `speechkit synthesize {exp_dir}` first"
        )
    if unknown := [name for name in names if name not in found]:
        raise ValueError(f"--set: expected one of {', '.join(found)}, got {unknown[0]}; synthesize it first")
    return [found[name] for name in names or found]


def read_rows(path: Path, remedy: str, fields: dict[str, type]) -> list[dict[str, Any]]:
    """The lines of a file of JSON objects that have ``fields`` of these types.

    Raises:
        ValueError: Naming the line.
    """
    with open(path, "rb") as file:
        return [parse(line, f"{path}:{i}", remedy, fields) for i, line in enumerate(file, start=1) if line.strip()]


def parse(text: bytes, source: str, remedy: str, fields: dict[str, type]) -> dict[str, Any]:
    """One JSON object that has ``fields`` of these types.

    Raises:
        ValueError: It has not.
    """
    try:
        value = json.loads(text)
    except ValueError:  # neither JSON nor UTF-8
        raise ValueError(f"{source}: not valid JSON; {remedy}") from None
    if not isinstance(value, dict) or not all(isinstance(value.get(key), kind) for key, kind in fields.items()):
        wanted = f"an object with {', '.join(fields)}" if fields else "an object"
        raise ValueError(f"{source}: expected {wanted}, got {text[:60]!r}; {remedy}")
    return value
