"""A curve of a plot: thousands of steps become a few hundred points with a smoothed line and the range around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from speechkit.report.numbers import digits

MAX_POINTS = 320  # more than a plot has pixels to tell apart
SMOOTH_FRACTION = 50  # the smoothed line averages over a window of 1/50 of the run on either side
TINY = 1e-12  # a gradient of exactly 0 has no logarithm


@dataclass(frozen=True)
class Curve:
    """One line, ready to draw.

    Args:
        name: For legend and hover.
        x: (P,) ascending.
        y: (P,) smoothed values; NaN is a gap.
        low: (P,) least single value that the point stands for.
        high: (P,) greatest one.
        latest: The last smoothed value, as text.
        smoothed: Whether single values differ from ``y``, so that they are drawn, too.
        dots: Draw a dot at every point.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    latest: str
    smoothed: bool = False
    dots: bool = False

    def describe(self) -> str:
        """The course of the curve in words, for readers who cannot see it."""
        y = self.y[np.isfinite(self.y)]
        if not len(y):
            return "no finite value"
        return f"from {digits(y[0])} to {digits(y[-1])}, lowest {digits(y.min())}, highest {digits(y.max())}"

    def data(self) -> dict[str, Any]:
        """Points as plain numbers for the page's script; a gap is None."""
        plain: dict[str, Any] = {"name": self.name, "x": _plain(self.x), "y": _plain(self.y)}
        return plain | ({"low": _plain(self.low), "high": _plain(self.high)} if self.smoothed else {})


def step_curve(name: str, x: np.ndarray, y: np.ndarray, smooth: bool = True, geometric: bool = False) -> Curve:
    """A curve of values per training step.

    Args:
        name: For legend and hover.
        x: (N,) steps, ascending.
        y: (N,) values; what is not finite becomes a gap.
        smooth: Draw the mean over a window, with the single values behind it.
        geometric: The mean is that of the logarithms, which single outliers move little; for positive values.
    """
    y = np.where(np.isfinite(y), y, np.nan)
    radius = len(y) // SMOOTH_FRACTION if smooth else 0
    line = np.exp(moving_mean(np.log(np.maximum(y, TINY)), radius)) if geometric else moving_mean(y, radius)
    edges = np.unique(np.linspace(0, len(y), MAX_POINTS + 1).round().astype(int))
    groups = [slice(a, b) for a, b in zip(edges[:-1], edges[1:])]
    ends = edges[1:] - 1
    low = np.array([_ignoring_nan(np.min, y[g]) for g in groups])
    high = np.array([_ignoring_nan(np.max, y[g]) for g in groups])
    found = line[np.isfinite(line)]
    latest = digits(found[-1]) if len(found) else "–"
    return Curve(name, x[ends], line[ends], low, high, latest, smoothed=radius > 0, dots=len(y) < 3)


def point_curve(name: str, x: np.ndarray, y: np.ndarray) -> Curve:
    """A curve of few values, each of which gets a dot."""
    y = np.where(np.isfinite(y), y, np.nan)
    keep = ~np.isnan(y)
    latest = digits(y[keep][-1]) if keep.any() else "–"
    return Curve(name, x[keep], y[keep], y[keep], y[keep], latest, dots=True)


def moving_mean(values: np.ndarray, radius: int) -> np.ndarray:
    """The mean over ``radius`` values on either side; the window is cut off at the ends and skips NaN.

    Centred, so that the line does not lag behind a falling loss as an exponential average does.
    """
    if radius == 0:
        return values
    known = np.isfinite(values)
    totals = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    index = np.arange(len(values))
    first, last = np.maximum(index - radius, 0), np.minimum(index + radius + 1, len(values))
    count = counts[last] - counts[first]
    return np.where(count > 0, (totals[last] - totals[first]) / np.maximum(count, 1), np.nan)


def _ignoring_nan(reduce: Any, values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(reduce(known)) if len(known) else np.nan


def _plain(values: np.ndarray) -> list[float | None]:
    """Six digits: more than a screen shows, a third of the bytes."""
    return [float(f"{v:.6g}") if v == v else None for v in values.tolist()]
