from __future__ import annotations

import pytest

from speechkit.report.numbers import digits, percent, plural, short, span, thousands


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.05, "0.05"),
        (2500, "2.5k"),
        (3e6, "3M"),
        (5e-4, "5e-4"),
        (2.5e-7, "2.5e-7"),
        (-40, "-40"),
        (999, "999"),
        (1e9, "1G"),
    ],
)
def test_tick_labels_are_short(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.23456, "1.235"),
        (0.00123456, "0.001235"),
        (1e-5, "1e-05"),
        (12345.6, "12\u202f346"),
        (1e7, "1e+07"),
    ],
)
def test_values_have_four_digits(value, text):
    assert digits(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(12.34, "12.3 s"), (600, "10.0 min"), (90000, "25.0 h")])
def test_durations_have_a_fitting_unit(seconds, text):
    assert span(seconds) == text


def test_counts_are_grouped_and_agree_with_their_noun():
    assert thousands(1234567) == "1\u202f234\u202f567"
    assert [plural(n, "error") for n in (0, 1, 2, 5000)] == ["0 errors", "1 error", "2 errors", "5\u202f000 errors"]


def test_rates_have_two_decimals_in_per_cent():
    assert percent(0.04316) == "4.32" and percent(0.0) == "0.00" and percent(1.5) == "150.00"
