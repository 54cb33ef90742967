"""Axes of a plot: the mapping from values to pixels, and the places of ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic scale from ``low`` at pixel ``start`` to ``high`` at pixel ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    step: float = 0.0
    """Between ticks of a linear axis; 0 finds one."""

    @classmethod
    def fit(cls, values: np.ndarray, start: float, end: float, *, log: bool = False, zero: bool = False) -> Axis:
        """The axis that shows all finite ``values``, with borders on ticks.

        Args:
            values: Any number of them; infinities and NaN (and, with ``log``, what is not positive) are not shown.
            start: Pixel of the low end.
            end: Pixel of the high end.
            log: Logarithmic; falls back to linear where nothing is positive.
            zero: A linear axis begins at 0.
        """
        shown = values[np.isfinite(values) & ((values > 0) | (not log))]
        if log and not len(shown):
            return cls.fit(values, start, end, zero=zero)
        low, high = (float(shown.min()), float(shown.max())) if len(shown) else (0.0, 1.0)
        if log:
            low, high = _log_border(low, down=True), _log_border(high, down=False)
            return cls(low, high if high > low else low * 10, start, end, log=True)
        low = min(low, 0.0) if zero else low
        if low == high:
            low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (0.0, 1.0)
        step = nice_step((high - low) / 5)
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end, step=step)

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        """Pixels of values; NaN where a value cannot be shown."""
        values = np.asarray(values, dtype=np.float64)
        if self.log:
            values = np.log(np.where(values > 0, values, np.nan))
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        place = self.start + (values - low) / (high - low) * (self.end - self.start)
        return np.where(np.isfinite(place), place, np.nan)

    def ticks(self) -> list[float]:
        """Where the axis has lines: about five round values."""
        if not self.log:
            step = self.step or nice_step((self.high - self.low) / 5)
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            return [round(i * step, 12) for i in range(first, last + 1)]
        few = self.high / self.low < 10**2.8  # decades enough for lines between them
        decades = range(math.floor(math.log10(self.low) + 1e-9), math.ceil(math.log10(self.high) - 1e-9) + 1)
        chosen = decades if few else decades[:: math.ceil(len(decades) / 7)]
        found = [factor * 10.0**e for e in chosen for factor in ((1, 2, 5) if few else (1,))]
        return [tick for tick in found if self.low * (1 - 1e-9) <= tick <= self.high * (1 + 1e-9)]


def nice_step(rough: float) -> float:
    """The smallest round step (1, 2, 2.5, 5 times a power of ten) that is not less than ``rough`` > 0."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(nice * power for nice in NICE_STEPS if nice * power >= rough * (1 - 1e-9))


def _log_border(value: float, down: bool) -> float:
    """The next of 1, 2, 5 times a power of ten, so that a curve never touches the frame by much."""
    power = 10.0 ** math.floor(math.log10(value))
    factors = [factor * power for factor in (1.0, 2.0, 5.0, 10.0)]
    if down:
        return max(f for f in factors if f <= value * (1 + 1e-9))
    return min(f for f in factors if f >= value * (1 - 1e-9))
