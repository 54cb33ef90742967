"""Mirrored ends, against numpy, which mirrors back and forth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechkit.nn.padding import reflect_pad


@pytest.mark.parametrize("length", [1, 2, 3, 5, 11])
@pytest.mark.parametrize(("left", "right"), [(0, 0), (3, 0), (0, 4), (2, 7)])
def test_it_is_numpys_padding_for_every_length(length, left, right):
    x = torch.randn(2, 3, length)
    expected = np.pad(x.numpy(), [(0, 0), (0, 0), (left, right)], mode="reflect")
    np.testing.assert_array_equal(reflect_pad(x, left, right).numpy(), expected)
    np.testing.assert_array_equal(reflect_pad(x[0], left, right).numpy(), expected[0])
