from __future__ import annotations

import pytest
import torch
from flow_cases import check_flow, stirred

from speechkit.nn.spline_coupling import SplineCoupling


@pytest.mark.parametrize("dim", [2, 5])
def test_it_is_a_flow(dim):
    check_flow(stirred(SplineCoupling(dim, 6, num_layers=2)), torch.randn(2, 5, dim))


def test_it_is_a_flow_for_every_condition():
    flow = stirred(SplineCoupling(2, 6, num_layers=2))
    x, cond = torch.randn(2, 5, 2), torch.randn(2, 5, 6)
    check_flow(flow, x, cond)
    assert not torch.allclose(flow(x.double(), cond=cond.double())[0], flow(x.double(), cond=2 * cond.double())[0])


def test_one_half_stays_and_what_is_beyond_the_bound_stays_too():
    flow = stirred(SplineCoupling(2, 6, bound=1.0))
    x = torch.tensor([[[0.3, 2.0], [0.3, -1.5], [0.3, 0.5]]])
    y, _ = flow(x)
    assert torch.equal(y[..., 0], x[..., 0]) and torch.equal(y[0, :2, 1], x[0, :2, 1]) and y[0, 2, 1] != x[0, 2, 1]
