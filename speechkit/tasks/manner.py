"""How a voice is to say something."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from speechkit.text.passages import Pauses

SPEEDS = (0.1, 10.0)
ROUNDED = 1e-3
"""By how much weights of styles may miss their sum."""


@dataclass(frozen=True)
class Heard:
    """A recording that a voice has listened to.

    Args:
        name: Of the file.
        feats: (1, T, F), not normalised, of the voice's featurizer.
        lens: (1,) int64.
    """

    name: str
    feats: Tensor
    lens: Tensor

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Manner:
    """How to say something."""

    speaker: str | None = None
    """Name of one of the speakers of the training data; None for the first."""
    speed: float = 1.0
    """Times as fast as usual. Of models that do not say how long tokens are, frames are drawn out; see
    :func:`~speechkit.tasks.synthesizer.stretch`."""
    pitch_shift: float = 0.0
    """Semitones; for models that predict pitch."""
    energy_scale: float = 1.0
    """Factor; for models that predict energy."""
    temperature: float | None = None
    """Deviation of the noise, for models that sample, where 1 is that of training; None for the model's usual one."""
    duration_temperature: float | None = None
    """Likewise of durations."""
    seed: int = 0
    """Of all random numbers: the same text in the same manner is the same samples."""
    reference: str | Path | Heard | None = None
    """Recording of any format and rate to sound like, for models with the condition reference or style_tokens; None for
    what is usual for the speaker."""
    style: Sequence[float] | None = None
    """Weights of the style tokens that add up to 1, for models with the condition style_tokens, which then listens to no
    reference."""
    pauses: Pauses = Pauses()
    """Silence between sentences."""

    def __post_init__(self) -> None:
        low, high = SPEEDS
        if not low <= self.speed <= high:
            raise ValueError(f"speed: expected {low:g} to {high:g} times the usual one, got {self.speed:g}")
        if not math.isfinite(self.pitch_shift):
            raise ValueError(f"pitch_shift: expected semitones, got {self.pitch_shift:g}")
        for name in ("energy_scale", "temperature", "duration_temperature"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name}: expected 0 or more, got {value:g}")
        if self.style is not None:
            object.__setattr__(self, "style", tuple(map(float, self.style)))
            if not all(weight >= 0 for weight in self.style) or abs(sum(self.style) - 1) > ROUNDED:
                weights = ", ".join(f"{weight:g}" for weight in self.style) or "none"
                raise ValueError(f"style: expected weights of 0 or more that add up to 1, got {weights}")

    @property
    def asks(self) -> dict[str, Any]:
        """What is asked of the model that is not its usual way, by the names of :class:`Controls`."""
        usual: dict[str, Any] = {"speed": 1.0, "pitch_shift": 0.0, "energy_scale": 1.0}
        usual |= dict.fromkeys(("temperature", "duration_temperature", "reference", "style"))
        return {name: value for name in usual if (value := getattr(self, name)) != usual[name]}
