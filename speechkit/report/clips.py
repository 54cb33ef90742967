"""Short recordings inside a page: mono Opus of about 3 kB per second, as long as the page's budget lasts."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
import soxr

from speechkit.report.html import Html, h

OPUS_RATES = (8000, 12000, 16000, 24000)  # Hz; 48000 exists, too, but is of no use for speech
MAX_SECONDS = 60.0


class NoClip(Exception):
    """The audio of an utterance cannot be on the page; the message says why, for its reader."""


@dataclass
class ClipBudget:
    """How much audio still fits on the page, and how many clips did not."""

    bytes_left: int
    left_out: int = 0

    def player(self, row: dict[str, Any], label: str) -> Html:
        """An audio element for a row of ``hyps.jsonl``, or a line that says why there is none."""
        try:
            return self._player(row.get("audio"), label)
        except NoClip as reason:
            return h("p", f"no audio here: {reason}", class_="note")

    def _player(self, audio: dict[str, Any] | None, label: str) -> Html:
        if not audio:
            raise NoClip("the utterance is no part of a single file")
        if self.bytes_left <= 0:
            self.left_out += 1
            raise NoClip("left out to keep the page small")
        clip, mime = encode(audio["path"], audio.get("start", 0.0), audio.get("duration"), audio.get("channel"))
        text = base64.b64encode(clip).decode()
        if len(text) > self.bytes_left:
            self.left_out += 1
            raise NoClip("left out to keep the page small")
        self.bytes_left -= len(text)
        return h("audio", controls=True, preload="none", src=f"data:{mime};base64,{text}", aria_label=label)


def encode(
    path: str, start: float = 0.0, duration: float | None = None, channel: int | None = None
) -> tuple[bytes, str]:
    """A stretch of an audio file as a small file of its own.

    Args:
        path: Any format that libsndfile reads.
        start: Seconds.
        duration: Seconds; to the end unless given.
        channel: From 0; the mean of all unless given.

    Returns:
        The bytes and their media type: Ogg Opus, or FLAC where libsndfile was built without Opus.

    Raises:
        NoClip: The file is missing, unreadable or too long, or has no such channel.
    """
    samples, rate = _read(path, start, duration, channel)
    if "OPUS" not in soundfile.available_subtypes("OGG"):
        return _write(samples, rate, "FLAC", "PCM_16"), "audio/flac"
    target = next((r for r in OPUS_RATES if r >= rate), OPUS_RATES[-1])
    samples = samples if rate == target else soxr.resample(samples, rate, target)
    return _write(samples, target, "OGG", "OPUS"), "audio/ogg"


def _read(path: str, start: float, duration: float | None, channel: int | None) -> tuple[np.ndarray, int]:
    """(L,) float32 and its rate in Hz."""
    try:
        with soundfile.SoundFile(path) as file:
            seconds = file.frames / file.samplerate - start if duration is None else duration
            if seconds > MAX_SECONDS:
                raise NoClip(f"longer than {MAX_SECONDS:.0f} s")
            file.seek(round(start * file.samplerate))
            samples = file.read(max(0, math.ceil(seconds * file.samplerate)), dtype="float32", always_2d=True)
            rate = file.samplerate
    except soundfile.LibsndfileError as error:
        raise NoClip(f"{path}: {str(error.error_string).strip().rstrip('.')}") from None
    if channel is not None and channel >= samples.shape[1]:
        raise NoClip(f"{path}: no channel {channel + 1}")
    samples = samples.mean(axis=1) if channel is None else samples[:, channel]
    if not len(samples) or not np.isfinite(samples).all():
        raise NoClip(f"{path}: no finite samples from {start:.2f} s on")
    return samples, rate


def _write(samples: np.ndarray, rate: int, container: str, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1.0, 1.0), rate, format=container, subtype=subtype)
    return file.getvalue()
