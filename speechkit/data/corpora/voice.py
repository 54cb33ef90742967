"""What corpora for synthesis share: clips that are clipped or silent are named, and splits that no prompt crosses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import soundfile
from lhotse import CutSet
from lhotse.cut import Cut, MonoCut
from pydantic import Field

from speechkit.data.audio import AudioError, examine
from speechkit.data.corpora.base import Corpus, make_cut, read_recording, sorted_cuts
from speechkit.utils import log

FULL_SCALE = 0.999
"""Magnitude from which a sample counts as clipped; 32767/32768 in 16 bits is above it."""
MIN_RUN = 4
"""So many clipped samples side by side are a clipped clip: a single peak may just touch the top."""
SILENCE = 1e-3
"""A clip whose loudest sample is below this (-60 dB) holds no speech."""
_NAMED = 5


class VoiceCorpus(Corpus):
    """Base of corpora for synthesis, where every clip teaches the voice how to sound."""

    class Config(Corpus.Config):
        """What is done with bad recordings."""

        bad_audio: Literal["keep", "leave_out", "unchecked"] = "keep"
        """Clips that are clipped or silent: all audio is decoded to find them, a warning names and counts them, and
        they are kept or left out. ``unchecked`` reads headers only, which is much faster."""

        num_jobs: Annotated[int, Field(gt=0)] = 4
        """Audio files that are read at a time."""

    def _make_cuts(self, clips: dict[str, tuple[Path, str, str, dict]]) -> list[MonoCut]:
        """Cuts of ``id: (audio file, text, speaker, more fields of the supervision)``, checked as the config says."""
        with ThreadPoolExecutor(self.config.num_jobs) as pool:
            cuts = list(pool.map(lambda item: _make_cut(item[0], *item[1]), clips.items()))
            if self.config.bad_audio == "unchecked":
                return cuts
            reasons = list(pool.map(lambda clip: bad_audio(clip[0]), clips.values()))
        return self._without_bad(cuts, reasons)

    def _without_bad(self, cuts: list[MonoCut], reasons: list[str | None]) -> list[MonoCut]:
        leave_out = self.config.bad_audio == "leave_out"
        for reason in sorted(set(reasons) - {None}):
            ids = [cut.id for cut, found in zip(cuts, reasons, strict=True) if found == reason]
            named = ", ".join(ids[:_NAMED]) + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")
            remedy = "left out" if leave_out else "kept; bad_audio=leave_out leaves them out"
            log.warn(f"{self.config.name}: {len(ids)} of {len(cuts)} clips are {reason}: {named} ({remedy})")
        return [cut for cut, reason in zip(cuts, reasons, strict=True) if not (reason and leave_out)]


def _make_cut(clip_id: str, path: Path, text: str, speaker: str, fields: dict) -> MonoCut:
    return make_cut(read_recording(path, clip_id), text, speaker, **fields)


def bad_audio(path: Path) -> str | None:
    """``clipped``, ``silent``, or None.

    Raises:
        AudioError: the file cannot be decoded, is cut short, or has samples that are not finite.
    """
    try:
        examine(path)
    except AudioError as error:
        if error.reason == "silence":
            return "silent"
        raise
    audio = soundfile.read(path, dtype="float32", always_2d=True)[0]
    level = np.abs(audio).max(axis=1)
    if level.max() < SILENCE:
        return "silent"
    return "clipped" if _longest_run(level >= FULL_SCALE) >= MIN_RUN else None


def _longest_run(flags: np.ndarray) -> int:
    """How many of (L,) bool are True side by side, at most."""
    if not flags.any():
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max())


def hold_out_last(cuts: Iterable[Cut], num_dev: int, num_test: int) -> dict[str, CutSet]:
    """The last ``num_test`` cuts in the order of their ids are test, the ``num_dev`` before them dev, the others train.

    Raises:
        ValueError: nothing would be left to train on.
    """
    ordered = sorted(cuts, key=lambda cut: cut.id)
    train = len(ordered) - num_dev - num_test
    if train < 1:
        raise ValueError(
            f"expected more than {num_dev} + {num_test} clips for dev and test, got {len(ordered)} in all; lower num_dev "
            "and num_test"
        )
    parts = {"train": ordered[:train], "dev": ordered[train : train + num_dev], "test": ordered[train + num_dev :]}
    return {name: sorted_cuts(part) for name, part in parts.items() if part}


def read_transcript(path: Path) -> str:
    """The text of a file that holds one transcript.

    Raises:
        ValueError: it is missing, empty, or not UTF-8.
    """
    try:
        text = " ".join(path.read_text(encoding="utf-8-sig").split())
    except FileNotFoundError:
        raise ValueError(f"{path}: expected a transcript, got no file; restore it, or remove its recording") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8, got byte {error.object[error.start]:#04x}; convert the file") from None
    if not text:
        raise ValueError(f"{path}: expected a transcript, got an empty file; write it, or remove its recording")
    return text


def require_audio(lost: Sequence[str], total: int, folder: Path, suffix: str) -> None:
    """Refuse a corpus where some of ``total`` transcripts have no recording."""
    if lost:
        raise ValueError(
            f"{folder}: {len(lost)} of {total} transcribed recordings are missing, first {lost[0]}{suffix}; restore them, or "
            "extract the archive again"
        )
