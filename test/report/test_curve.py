from __future__ import annotations

import math

import numpy as np
import pytest

from speechkit.report.curve import MAX_POINTS, moving_mean, point_curve, step_curve


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(5.0, 1.0, n)


@pytest.mark.parametrize("radius", [0, 1, 3, 40])
def test_the_moving_mean_is_the_mean_of_the_window(radius):
    y = noise(37)
    y[[4, 5, 6, 20]] = np.nan
    for i, value in enumerate(moving_mean(y, radius)):
        window = y[max(0, i - radius) : i + radius + 1]
        expected = np.nanmean(window) if np.isfinite(window).any() else np.nan
        assert value == pytest.approx(expected, nan_ok=True)


def test_a_long_curve_keeps_its_ends_its_extremes_and_few_points():
    n = 6007
    y = noise(n)
    y[1234], y[4321] = 99.0, -99.0
    curve = step_curve("loss", np.arange(1, n + 1), y)
    assert len(curve.x) == MAX_POINTS and curve.smoothed
    assert curve.x[-1] == n and (np.diff(curve.x) > 0).all()
    assert curve.high.max() == 99.0 and curve.low.min() == -99.0
    assert curve.y[-1] == pytest.approx(y[-1 - n // 50 :].mean())
    first = int(curve.x[0])
    assert (curve.low[0], curve.high[0]) == (y[:first].min(), y[:first].max())


def test_a_short_curve_is_drawn_as_it_is():
    y = noise(17)
    curve = step_curve("loss", np.arange(17), y)
    assert (
        not curve.smoothed and curve.y.tolist() == y.tolist() and float(curve.latest) == pytest.approx(y[-1], rel=1e-3)
    )


def test_values_that_are_not_finite_are_gaps():
    y = np.array([1.0, math.nan, math.inf, 4.0])
    curve = step_curve("loss", np.arange(4), y)
    assert np.isnan(curve.y).tolist() == [False, True, True, False]
    assert curve.data()["y"] == [1.0, None, None, 4.0]
    assert point_curve("wer", np.arange(4), y).x.tolist() == [0, 3]


def test_the_geometric_mean_hardly_moves_for_an_outlier():
    y = np.full(1000, 2.0)
    y[500] = 2e4
    x = np.arange(1000)
    plain, geometric = step_curve("norm", x, y), step_curve("norm", x, y, geometric=True)
    assert plain.y.max() > 100 and geometric.y.max() == pytest.approx(2.0 * 1e4 ** (1 / 41))


def test_a_curve_tells_its_course():
    text = point_curve("wer", np.arange(3), np.array([90.0, 10.0, 12.5])).describe()
    assert text == "from 90 to 12.5, lowest 10, highest 90"
    assert step_curve("loss", np.arange(2), np.full(2, np.nan)).describe() == "no finite value"
