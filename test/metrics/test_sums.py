from __future__ import annotations

import dataclasses

import pytest

from speechkit.metrics.sums import Sums


@dataclasses.dataclass(frozen=True)
class Counts(Sums):
    frames: int = 0
    error: float = 0.0


def test_sums_add_up_field_by_field_and_stay_what_they_are():
    total = sum([Counts(2, 0.5), Counts(3, 0.25)], Counts())
    assert total == Counts(5, 0.75) and type(total) is Counts


def test_sums_of_another_kind_do_not_add_up():
    other = dataclasses.make_dataclass("Other", [("frames", int)], bases=(Sums,))
    with pytest.raises(ValueError, match="shorter"):
        Counts(1, 2.0) + other(1)
