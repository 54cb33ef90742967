from __future__ import annotations

import pytest
import torch

from speechkit.nn.moments import Moments


def test_parts_of_any_size_give_the_statistics_of_the_whole():
    values = torch.randn(101) * 3 + 1e4
    moments = Moments()
    for part in values.split([1, 0, 60, 40]):
        moments.add(part)
    assert moments.mean.item() == pytest.approx(values.double().mean().item(), rel=1e-12)
    assert moments.std.item() == pytest.approx(values.double().std(correction=0).item(), rel=1e-9)
    assert (moments.low, moments.high) == (values.min(), values.max())


def test_restoring_undoes_normalising():
    moments, x = Moments(), torch.randn(3, 5)
    moments.add(x.flatten() * 7 - 2)
    torch.testing.assert_close(moments.restore(moments.normalize(x)), x)
    assert moments.normalize(x).dtype == x.dtype


def test_a_constant_becomes_zero():
    moments = Moments()
    moments.add(torch.full((3,), 5.0))
    assert moments.normalize(torch.tensor([5.0])).item() == 0


def test_statistics_that_nobody_found_are_missed_and_those_of_a_saved_model_are_not():
    moments, other = Moments(), Moments()
    with pytest.raises(ValueError, match="statistics: expected those of the training data, got none"):
        moments.normalize(torch.zeros(2))
    other.add(torch.tensor([1.0, 3.0]))
    moments.load_state_dict(other.state_dict())
    assert moments.normalize(torch.tensor([3.0])).item() == 1
    moments.reset()
    with pytest.raises(ValueError, match="statistics"):
        moments.restore(torch.zeros(2))
