"""Transposed convolutions make a signal an exact number of times longer."""

from __future__ import annotations

import pytest
import torch

from speechkit.nn.transposed_convolution import TransposedConv


@pytest.mark.parametrize("rate", [2, 3, 5, 8])
def test_the_output_is_exactly_so_many_times_longer(rate):
    for frames in (1, 2, 7):
        assert TransposedConv(3, 5, rate)(torch.randn(2, 3, frames)).shape == (2, 5, rate * frames)


@pytest.mark.parametrize("rate", [2, 3, 8])
def test_a_frame_is_heard_in_the_two_steps_around_its_middle(rate):
    conv, x = TransposedConv(1, 1, rate), torch.zeros(1, 1, 9)
    silence = conv(x)
    x[0, 0, 4] = 1.0
    heard = (conv(x) - silence)[0, 0].nonzero().flatten().tolist()
    start = 4 * rate - rate // 2 - rate % 2
    assert heard == list(range(start, start + 2 * rate))
