"""Silence at both ends of a recording, of which a voice should not learn how long it is."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from speechkit.config import Config

WINDOW = 0.01  # seconds, over which loudness is measured


class TrimConfig(Config):
    """Which silence is cut off at both ends."""

    threshold: float = Field(40.0, gt=0)
    """Decibels below the loudest 10 ms of the utterance; what is quieter is silence."""

    margin: float = Field(0.05, ge=0)
    """Seconds of silence that stay at each end."""


def trim(wav: np.ndarray, sampling_rate: int, config: TrimConfig) -> np.ndarray:
    """The samples (N,) of ``wav`` (L,) without the silence at its ends; a view. Silence alone stays as it is."""
    size = max(1, round(WINDOW * sampling_rate))
    if len(wav) <= size:
        return wav
    # Full windows only, but the last one reaches to the end of the utterance.
    starts = np.append(np.arange(0, len(wav) - size, size), len(wav) - size)
    power = np.add.reduceat(np.square(wav, dtype=np.float64), np.stack([starts, starts + size], 1).ravel()[:-1])[::2]
    loud = np.flatnonzero(power > power.max() * 10 ** (-config.threshold / 10))
    if len(loud) == 0:
        return wav
    margin = round(config.margin * sampling_rate)
    return wav[max(0, starts[loud[0]] - margin) : starts[loud[-1]] + size + margin]
