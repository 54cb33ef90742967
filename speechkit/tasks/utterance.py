"""What a voice has said: samples, and which of them belongs to which token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from speechkit.utils.files import atomic_path

PAUSE = "<pause>"
"""Stands among the tokens for silence that was put between passages."""


@dataclass(frozen=True)
class Utterance:
    """Something that was said. Its tokens' frames make up all of its samples."""

    samples: np.ndarray
    """(L,) float32 in [-1, 1]."""
    sampling_rate: int
    """Hz."""
    text: str
    """What was to be said."""
    tokens: tuple[str, ...] = ()
    """The names of the tokens, and :data:`PAUSE` for silence between passages."""
    token_frames: tuple[int, ...] = ()
    """How many frames each of them lasts."""
    frame_shift: float = 0.0
    """Seconds of a frame."""
    finished: bool = True
    """False where the model did not end by itself and had to be stopped."""
    pitch: np.ndarray | None = None
    """(T,) Hz of each frame, 0 where unvoiced, as the model meant it; None of models that say nothing of it."""
    alignment: np.ndarray | None = None
    """(T, U), how much of each frame is each token; None of models that have durations only, and of several passages."""

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sampling_rate

    @property
    def num_clipped(self) -> int:
        """Samples at the limits, which were beyond them or nearly so."""
        return int((np.abs(self.samples) >= 1.0).sum())

    def save(self, path: Path | str) -> None:
        """Write an audio file, in the format that its name ends with; whole or not at all."""
        with atomic_path(path) as partial:
            soundfile.write(partial, self.samples, self.sampling_rate)


def silence(seconds: float, sampling_rate: int, hop_length: int) -> Utterance:
    """Silence of about so long: of whole frames."""
    frames = round(seconds * sampling_rate / hop_length)
    samples = np.zeros(frames * hop_length, np.float32)
    return Utterance(
        samples, sampling_rate, "", (PAUSE,), (frames,), hop_length / sampling_rate, pitch=np.zeros(frames, np.float32)
    )


def join(parts: Sequence[Utterance], text: str) -> Utterance:
    """One utterance of several, at least one, of the same voice."""
    pitch = [each.pitch for each in parts]
    return Utterance(
        np.concatenate([each.samples for each in parts]),
        parts[0].sampling_rate,
        text,
        tuple(token for each in parts for token in each.tokens),
        tuple(frames for each in parts for frames in each.token_frames),
        parts[0].frame_shift,
        all(each.finished for each in parts),
        None if any(each is None for each in pitch) else np.concatenate(pitch),
        parts[0].alignment if len(parts) == 1 else None,
    )
