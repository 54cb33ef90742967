from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from speechkit.nn.upsampling import Upsampling, upsampling_factors


def test_each_frame_is_repeated_and_smoothed_by_a_moving_mean():
    x = torch.randn(2, 5, 3).double()
    out = Upsampling([4]).double()(x)
    for b in range(2):
        for d in range(3):
            steps = np.repeat(x[b, :, d].numpy(), 4)
            mean = np.convolve(np.pad(steps, 4, mode="edge"), np.full(9, 1 / 9), mode="valid")
            np.testing.assert_allclose(out[b, :, d].detach().numpy(), mean)


def test_what_does_not_change_stays_as_it_is():
    x = torch.randn(1, 1, 3).double()
    torch.testing.assert_close(Upsampling([2, 5]).double()(x.expand(1, 4, 3)), x.expand(1, 40, 3))


@pytest.mark.parametrize(
    ("hop_length", "factors"), [(256, (4, 8, 8)), (275, (5, 5, 11)), (200, (5, 5, 8)), (300, (5, 6, 10)), (7, (7,)), (1, (1,))]
)
def test_the_factors_are_those_of_the_hop_length(hop_length, factors):
    assert upsampling_factors(hop_length) == factors and math.prod(factors) == hop_length
