from __future__ import annotations

import numpy as np
import torch

from speechkit.nn.gaps import fill_gaps


def test_it_equals_the_interpolation_of_numpy():
    values, known = torch.randn(5, 31, dtype=torch.float64), torch.rand(5, 31) < 0.3
    filled = fill_gaps(values, known)
    for row, at, found in zip(values.numpy(), known.numpy(), filled.numpy()):
        np.testing.assert_allclose(found, np.interp(np.arange(31), at.nonzero()[0], row[at]), atol=1e-12)


def test_where_nothing_is_known_it_is_zero_and_what_is_unknown_may_be_anything():
    values = torch.tensor([[torch.nan, 2.0, torch.inf], [torch.nan] * 3])
    known = torch.tensor([[False, True, False], [False] * 3])
    assert fill_gaps(values, known).tolist() == [[2, 2, 2], [0, 0, 0]]
