from __future__ import annotations

import math

import pytest

from speechkit.train.schedule import Schedule


def make(name, total_steps=1000, **options):
    return Schedule.registry[name].Config(**options).build(total_steps=total_steps)


@pytest.mark.parametrize("name", sorted(Schedule.registry))
def test_every_schedule_stays_between_zero_and_one(name):
    schedule = make(name)
    factors = [schedule.factor(step, step / 100) for step in range(1, 1001)]
    assert all(0 < f <= 1 for f in factors)


def test_noam_is_the_papers_formula_scaled_to_peak_at_one():
    noam = make("noam", warmup_steps=50)
    for step in (1, 10, 50, 200):
        expected = min(step**-0.5, step * 50**-1.5) / 50**-0.5
        assert noam.factor(step, 0) == pytest.approx(expected)


def test_cosine_peaks_after_warm_up_and_ends_at_its_final_value():
    cosine = make("warmup_cosine", warmup=0.1, final=0.05)
    assert cosine.factor(100, 0) == pytest.approx(1.0)
    assert cosine.factor(550, 0) == pytest.approx(0.05 + 0.95 * 0.5)
    assert cosine.factor(1000, 0) == pytest.approx(0.05) == cosine.factor(2000, 0)


def test_eden_is_the_papers_formula():
    eden = make("eden", steps=300.0, epochs=4.0, warmup_steps=10)
    expected = ((600**2 + 300**2) / 300**2) ** -0.25 * ((2**2 + 4**2) / 4**2) ** -0.25
    assert eden.factor(600, 2.0) == pytest.approx(expected)
    assert eden.factor(0, 0.0) == pytest.approx(0.5)
    assert math.isclose(eden.factor(5, 0.0), 0.75, rel_tol=1e-3)
