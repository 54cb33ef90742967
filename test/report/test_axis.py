from __future__ import annotations

import math

import numpy as np
import pytest

from speechkit.report.axis import Axis, nice_step


@pytest.mark.parametrize(
    ("rough", "nice"),
    [(1.0, 1.0), (1.01, 2.0), (2.2, 2.5), (3.0, 5.0), (6.0, 10.0), (0.00013, 0.0002), (13.0, 20.0), (1e6, 1e6)],
)
def test_steps_are_round(rough, nice):
    assert nice_step(rough) == pytest.approx(nice, rel=1e-12)


@pytest.mark.parametrize(
    "values", [[3.0, 97.0], [-5.0, 5.0], [0.0012, 0.0013], [1e6, 5e6], [7.0, 7.0], [0.0, 0.0], [-3.0, -3.0]]
)
def test_a_linear_axis_holds_all_values_between_its_border_ticks(values):
    axis = Axis.fit(np.array(values), 200, 10)
    ticks = axis.ticks()
    assert axis.low - 1e-9 <= min(values) and max(values) <= axis.high + 1e-9
    assert ticks[0] == pytest.approx(axis.low) and ticks[-1] == pytest.approx(axis.high)
    assert 3 <= len(ticks) <= 8
    assert np.ptp(np.diff(ticks)) < 1e-9 * abs(ticks[-1] - ticks[0])


def test_the_ends_of_an_axis_are_its_pixels():
    axis = Axis(10.0, 30.0, 200, 0)
    assert axis(np.array([10.0, 15.0, 30.0])).tolist() == [200.0, 150.0, 0.0]


def test_equal_factors_are_equal_distances_on_a_logarithmic_axis():
    axis = Axis.fit(np.array([0.7, 900.0]), 0, 100, log=True)
    assert (axis.low, axis.high) == (0.5, 1000.0)
    assert np.diff(axis(np.array([1.0, 10.0, 100.0]))) == pytest.approx([100 / math.log10(2000)] * 2)
    assert np.isnan(axis(np.array([0.0, -1.0, math.nan, math.inf]))).all()


@pytest.mark.parametrize(("low", "high"), [(0.7, 900), (1, 1.5), (3e-7, 8e6), (5, 5), (20, 99)])
def test_logarithmic_ticks_are_few_round_and_inside(low, high):
    axis = Axis.fit(np.array([low, high]), 0, 100, log=True)
    ticks = axis.ticks()
    assert axis.low <= low and high <= axis.high * (1 + 1e-9)
    assert 2 <= len(ticks) <= 9 and ticks == sorted(set(ticks))
    for tick in ticks:
        assert float(f"{tick:.0e}") == pytest.approx(tick) and f"{tick:.0e}"[0] in "125"


def test_what_is_not_finite_does_not_move_the_axis():
    clean, dirty = np.array([1.0, 4.0]), np.array([1.0, math.nan, 4.0, math.inf, -math.inf])
    assert Axis.fit(dirty, 0, 1) == Axis.fit(clean, 0, 1)
    assert Axis.fit(np.array([1.0, 4.0, 0.0, -2.0]), 0, 1, log=True) == Axis.fit(clean, 0, 1, log=True)


def test_an_axis_of_nothing_is_still_an_axis():
    assert len(Axis.fit(np.zeros(0), 0, 1).ticks()) > 2
    assert not Axis.fit(np.array([-1.0]), 0, 1, log=True).log


def test_an_axis_can_begin_at_zero():
    assert Axis.fit(np.array([80.0, 90.0]), 0, 1, zero=True).low == 0.0
    assert Axis.fit(np.array([80.0, 90.0]), 0, 1).low > 0.0
