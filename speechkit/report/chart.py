"""Plots as inline SVG: curves and histograms. ``page.js`` adds hover values from the numbers beside each plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechkit.report.axis import Axis
from speechkit.report.curve import Curve
from speechkit.report.html import Html, h
from speechkit.report.numbers import short

WIDTH, HEIGHT = 560, 262
LEFT, RIGHT, TOP, BOTTOM = 58, 548, 12, 222  # the frame of the curves
LOG_RATIO = 20.0  # values that span more than this factor are drawn on a logarithmic axis


@dataclass(frozen=True)
class Mark:
    """Something that happened at ``x``: a ``line`` (a resume) or a ``tick`` (a skipped step)."""

    x: float
    kind: str
    text: str


@dataclass(frozen=True)
class Bar:
    """One bin of a histogram, from ``low`` to ``high``."""

    low: float
    high: float
    height: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One plot, of curves or of bars.

    Args:
        title: What is shown.
        unit: Of the y axis, for the title line.
        curves: In the order of their colours.
        bars: Of a histogram.
        marks: Events on the x axis.
        zero: Whether the y axis begins at 0.
        can_log: Whether a wide range is shown on a logarithmic axis.
        suffix: Printed after values (`` %``).
        x_label: What the x axis counts.
    """

    title: str
    unit: str
    curves: Sequence[Curve] = ()
    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()
    zero: bool = False
    can_log: bool = False
    suffix: str = ""
    x_label: str = "step"

    def html(self) -> Html:
        """The figure: title, legend, plot, and the numbers for hover."""
        x_axis, y_axis = self._x_axis(), self._y_axis()
        parts = [
            _grid(x_axis, y_axis, self.x_label),
            [_draw_mark(mark, x_axis) for mark in self.marks if x_axis.low <= mark.x <= x_axis.high],
            [_draw_bar(bar, x_axis, y_axis) for bar in self.bars],
            [_draw_curve(curve, i, x_axis, y_axis) for i, curve in enumerate(self.curves)],
            h("g", class_="cursor"),
        ]
        view = f"0 0 {WIDTH} {HEIGHT}"
        svg = h("svg", parts, viewBox=view, tabindex=0, role="img", aria_label=self._description())
        tip = h("div", class_="tip", aria_live="polite", hidden=True)
        numbers = h("script", self._numbers(x_axis, y_axis), type="application/json")
        return h("figure", self._caption(y_axis), h("div", svg, tip, class_="plot"), numbers, class_="chart")

    def _x_axis(self) -> Axis:
        xs = [curve.x for curve in self.curves] + [np.array([bar.low, bar.high]) for bar in self.bars]
        x = np.concatenate([np.zeros(0), *xs])
        low, high = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)
        low = 0.0 if low < high / 4 else low
        return Axis(low, high if high > low else low + 1, LEFT, RIGHT)

    def _y_axis(self) -> Axis:
        ys = [values for curve in self.curves for values in (curve.low, curve.high, curve.y)]
        y = np.concatenate([np.zeros(0), *ys, [bar.height for bar in self.bars]])
        shown = y[np.isfinite(y)]
        log = self.can_log and bool(len(shown)) and shown.min() > 0 and shown.max() / shown.min() > LOG_RATIO
        return Axis.fit(y, BOTTOM, TOP, log=log, zero=self.zero)

    def _caption(self, y_axis: Axis) -> Html:
        unit = self.unit + (", log scale" if y_axis.log else "")
        items = [
            h("li", h("i", class_=f"swatch c{i}"), curve.name, " ", h("b", curve.latest + self.suffix))
            for i, curve in enumerate(self.curves)
        ]
        legend = h("ul", items, class_="legend") if items else None
        return h("figcaption", h("strong", self.title), " ", h("span", unit, class_="unit"), legend)

    def _description(self) -> str:
        parts = [f"{curve.name}: {curve.describe()}" for curve in self.curves]
        parts += [f"{len(self.bars)} bars"] if self.bars else []
        return f"{self.title}, {self.unit}, by {self.x_label}. {'; '.join(parts)}. Arrow keys read single values."

    def _numbers(self, x_axis: Axis, y_axis: Axis) -> Html:
        series: list[dict[str, Any]] = [curve.data() for curve in self.curves]
        if self.bars:
            middles, heights = [(b.low + b.high) / 2 for b in self.bars], [b.height for b in self.bars]
            series.append({"x": middles, "y": heights, "text": [b.text for b in self.bars]})
        axes = {"x": [x_axis.low, x_axis.high, LEFT, RIGHT], "y": [y_axis.low, y_axis.high, BOTTOM, TOP]}
        data = axes | {"log": y_axis.log, "label": self.x_label, "suffix": self.suffix, "series": series}
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        return Html(text.replace("<", "\\u003c"))  # "<" is the one character that could end the script element


def _grid(x_axis: Axis, y_axis: Axis, x_label: str) -> Html:
    """Lines and labels of both axes."""
    parts = []
    for tick in y_axis.ticks():
        y = float(y_axis(tick))
        parts += [
            h("path", d=f"M{LEFT} {y:.1f}H{RIGHT}"),
            h("text", short(tick), x=LEFT - 8, y=f"{y + 4:.1f}", class_="y"),
        ]
    for tick in x_axis.ticks():
        x = float(x_axis(tick))
        parts += [h("path", d=f"M{x:.1f} {BOTTOM}v5"), h("text", short(tick), x=f"{x:.1f}", y=BOTTOM + 20, class_="x")]
    base = h("path", d=f"M{LEFT} {BOTTOM}H{RIGHT}", class_="base")
    return h("g", parts, base, h("text", x_label, x=RIGHT, y=HEIGHT - 4, class_="label"), class_="grid")


def _draw_curve(curve: Curve, index: int, x_axis: Axis, y_axis: Axis) -> Html:
    """Faint single values below, the smoothed line above, dots where values are few."""
    x, y = x_axis(curve.x), y_axis(curve.y)
    parts = [h("path", d=_path(x, y), class_="line")]
    if curve.smoothed:
        zigzag = np.stack([y_axis(curve.low), y_axis(curve.high)], axis=1).ravel()
        parts.insert(0, h("path", d=_path(np.repeat(x, 2), zigzag), class_="raw"))
    if curve.dots:
        parts += [h("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r=3) for a, b in zip(x, y) if np.isfinite(b)]
    return h("g", parts, class_=f"c{index}")


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Path data through the points; a NaN makes a gap."""
    parts, pen = [], "M"
    for a, b in zip(x.tolist(), y.tolist()):
        known = a == a and b == b
        if known:
            parts.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L" if known else "M"
    return "".join(parts)


def _draw_mark(mark: Mark, x_axis: Axis) -> Html:
    x = float(x_axis(mark.x))
    shape = f"M{x:.1f} {TOP}V{BOTTOM}" if mark.kind == "line" else f"M{x:.1f} {BOTTOM - 9}l4 8h-8z"
    return h("path", h("title", mark.text), d=shape, class_=f"mark {mark.kind}")


def _draw_bar(bar: Bar, x_axis: Axis, y_axis: Axis) -> Html:
    left, right, top = float(x_axis(bar.low)), float(x_axis(bar.high)), float(y_axis(bar.height))
    width = max(1.0, right - left - 1)  # a hair's gap between bars
    place = {"x": f"{left + 0.5:.1f}", "y": f"{top:.1f}", "width": f"{width:.1f}", "height": f"{BOTTOM - top:.1f}"}
    return h("rect", **place, class_="bar")
