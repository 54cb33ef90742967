from __future__ import annotations

import math

import pytest
import torch

from speechkit.nn.position import (
    ConvolutionalPosition,
    NoPosition,
    RelativePosition,
    RotaryPosition,
    SinusoidalPosition,
    make_position,
    sinusoids,
)
from speechkit.utils.lens import padding_mask


def test_sinusoids_equal_their_closed_form():
    table = sinusoids(torch.tensor([-3.0, 0.0, 7.0]), dim=6)
    for row, position in zip(table.tolist(), (-3, 0, 7), strict=True):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            assert row[2 * i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert row[2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-6)


def test_sinusoidal_position_adds_the_frame_number():
    x = torch.randn(2, 5, 8)
    y, beside = SinusoidalPosition(8)(x)
    torch.testing.assert_close(y, x * math.sqrt(8) + sinusoids(torch.arange(5.0), 8))
    assert beside is None


def test_relative_position_lists_distances_from_far_past_to_far_future():
    x = torch.randn(2, 5, 8)
    y, beside = RelativePosition(8)(x)
    torch.testing.assert_close(y, x * math.sqrt(8))
    torch.testing.assert_close(beside, sinusoids(torch.tensor([4.0, 3, 2, 1, 0, -1, -2, -3, -4]), 8))


def test_tables_grow_when_an_utterance_is_longer_than_any_before():
    module = SinusoidalPosition(4)
    y, _ = module(torch.zeros(1, 2500, 4))
    torch.testing.assert_close(y[0, 2499], sinusoids(torch.tensor([2499.0]), 4)[0])
    _, distances = RelativePosition(4).double()(torch.zeros(1, 1500, 4, dtype=torch.double))
    assert distances.shape == (2999, 4) and distances.dtype == torch.double


@pytest.mark.parametrize("name", ["relative", "rotary", "sinusoidal"])
def test_a_table_that_grew_in_validation_can_be_trained_with(name):
    module, weight = make_position(name, dim=8, num_heads=2), torch.ones(1, requires_grad=True)
    with torch.inference_mode():
        module(torch.zeros(1, 1500, 8))
    assert not module.table.rows.is_inference()
    y, beside = module(torch.zeros(1, 5, 8))
    ((y if beside is None else beside) * weight).sum().backward()  # keeps the rows for the backward pass
    assert weight.grad.isfinite().all()


def test_tables_are_part_of_no_checkpoint():
    assert not RelativePosition(8).state_dict() and not RotaryPosition(8, head_dim=4).state_dict()


def test_convolutional_position_ignores_padding():
    torch.manual_seed(0)
    module = ConvolutionalPosition(8, kernel_size=5)
    x, lens = torch.randn(2, 17, 8), torch.tensor([11, 6])
    long, short = padding_mask(lens, 17), padding_mask(lens, 11)
    torch.testing.assert_close(module(x, long)[0][~long], module(x[:, :11], short)[0][~short])


def test_none_only_scales():
    x = torch.randn(2, 5, 4)
    torch.testing.assert_close(NoPosition(4)(x)[0], 2 * x)


def test_an_odd_dimension_has_no_pairs():
    with pytest.raises(ValueError, match="expected an even dimension, got 7"):
        make_position("sinusoidal", dim=7, num_heads=1)


def test_an_unknown_position_lists_the_choices():
    with pytest.raises(ValueError, match="expected one of relative, rotary"):
        make_position("absolute", dim=8, num_heads=2)
