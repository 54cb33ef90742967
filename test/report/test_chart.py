from __future__ import annotations

import json
import re

import numpy as np
import pytest
from report_toy import Page

from speechkit.report.axis import Axis
from speechkit.report.chart import BOTTOM, LEFT, RIGHT, TOP, Bar, Chart, Mark
from speechkit.report.curve import point_curve, step_curve


def points(path: str) -> np.ndarray:
    """(P, 2) of the corners of path data."""
    return np.array([[float(a), float(b)] for a, b in re.findall(r"[ML](\S+?) ([-\d.]+)", path)])


def to_values(pixels: np.ndarray, axis: list[float], log: bool = False) -> np.ndarray:
    low, high, start, end = axis
    part = (pixels - start) / (end - start)
    return low * (high / low) ** part if log else low + part * (high - low)


@pytest.mark.parametrize("log", [False, True])
def test_the_drawn_line_is_where_the_values_are(log):
    x = np.arange(1.0, 18.0)
    y = 500.0 / x**2 if log else 3.0 + np.sin(x)
    page = Page(Chart("Loss", "nats", [step_curve("training", x, y)], can_log=True).html())
    data = json.loads(page.texts("script")[0])
    assert data["log"] is log and ("log scale" in page.texts("figcaption")[0]) is log
    drawn = points(page.find("path", class_="line")[0][0]["d"])
    assert to_values(drawn[:, 0], data["x"]) == pytest.approx(x, abs=0.01)
    assert to_values(drawn[:, 1], data["y"], log) == pytest.approx(y, rel=0.01, abs=0.01)
    assert data["series"][0]["x"] == x.tolist() and data["series"][0]["y"] == pytest.approx(y, rel=1e-5)


def test_everything_is_drawn_inside_the_frame():
    y = np.random.default_rng(0).lognormal(size=700)
    page = Page(Chart("Norm", "", [step_curve("norm", np.arange(700.0), y)], can_log=True).html())
    for attributes, _ in page.find("path", class_="line") + page.find("path", class_="raw"):
        corners = points(attributes["d"])
        assert corners[:, 0].min() >= LEFT - 0.1 and corners[:, 0].max() <= RIGHT + 0.1
        assert corners[:, 1].min() >= TOP - 0.1 and corners[:, 1].max() <= BOTTOM + 0.1


def test_a_gap_lifts_the_pen():
    y = np.array([1.0, 2.0, np.nan, 2.0, 1.0])
    page = Page(Chart("Loss", "", [step_curve("training", np.arange(5.0), y)]).html())
    assert page.find("path", class_="line")[0][0]["d"].count("M") == 2


def test_few_values_have_dots_and_many_have_none():
    x = np.arange(5.0)
    page = Page(Chart("WER", "%", [point_curve("WER", x, x), step_curve("training", x, x)]).html())
    assert len(page.find("circle")) == 5


def test_names_cannot_leave_their_place():
    name = "</script><script>alert(1)</script>"
    bar = Bar(0.0, 1.0, 2.0, name)
    for chart in (
        Chart(
            name,
            name,
            [point_curve(name, np.arange(3.0), np.arange(3.0))],
            marks=[Mark(1.0, "line", name)],
            suffix=name,
        ),
        Chart(name, name, bars=[bar], x_label=name),
    ):
        page = Page(chart.html())
        assert [attributes for attributes, _ in page.find("script")] == [{"type": "application/json"}]
        assert name in page.texts("script")[0].replace("\\u003c", "<")
        assert page.texts("strong") == [name]


def test_marks_stand_at_their_steps_and_only_inside_the_plot():
    curve = step_curve("loss", np.arange(0.0, 101.0), np.ones(101))
    marks = [Mark(50, "line", "resumed at step 50"), Mark(25, "tick", "step 25: nan"), Mark(300, "tick", "outside")]
    page = Page(Chart("Loss", "", [curve], marks=marks).html())
    [(line, text)] = page.find("path", class_="line")[0:1]
    assert text == "resumed at step 50" and line["d"].startswith(f"M{(LEFT + RIGHT) / 2:.1f} ")
    assert [text for _, text in page.find("path", class_="tick")] == ["step 25: nan"]


def test_the_heights_of_bars_are_their_values():
    bars = [Bar(i * 0.5, (i + 1) * 0.5, n, f"{n} utterances") for i, n in enumerate([2, 10, 0, 5])]
    page = Page(Chart("Durations", "utterances", bars=bars, zero=True).html())
    heights = np.array([float(attributes["height"]) for attributes, _ in page.find("rect", class_="bar")])
    assert heights / heights.max() == pytest.approx([0.2, 1.0, 0.0, 0.5], abs=2e-3)
    series = json.loads(page.texts("script")[0])["series"][0]
    assert series["y"] == [2, 10, 0, 5]
    assert series["x"] == [0.25, 0.75, 1.25, 1.75] and series["text"][1] == "10 utterances"


def test_axes_have_labelled_ticks_at_their_places():
    y = np.array([0.0, 100.0])
    page = Page(Chart("WER", "%", [point_curve("WER", np.array([0.0, 50.0]), y)], zero=True).html())
    axis = Axis.fit(y, BOTTOM, TOP, zero=True)
    for attributes, text in page.find("text", class_="y"):
        assert float(attributes["y"]) - 4 == pytest.approx(float(axis(float(text))), abs=0.06)
    assert page.texts("text", class_="x") == ["0", "10", "20", "30", "40", "50"]


def test_a_reader_without_a_mouse_or_eyes_gets_the_course_of_the_curve():
    page = Page(Chart("WER", "%", [point_curve("WER", np.arange(2.0), np.array([9.0, 4.0]))]).html())
    [(svg, _)] = page.find("svg")
    assert svg["tabindex"] == "0" and svg["role"] == "img" and "WER: from 9 to 4" in svg["aria-label"]
    assert page.texts("ul", class_="legend") == ["WER 4"]


def test_a_plot_of_nothing_finite_is_still_a_plot():
    page = Page(Chart("Loss", "", [step_curve("training", np.arange(3.0), np.full(3, np.nan))], can_log=True).html())
    assert json.loads(page.texts("script")[0])["series"][0]["y"] == [None] * 3
