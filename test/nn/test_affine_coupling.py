from __future__ import annotations

import pytest
import torch
from flow_cases import check_flow, stirred

from speechkit.nn.affine_coupling import AffineCoupling


def coupling(**options) -> AffineCoupling:
    return AffineCoupling(**{"dim": 4, "hidden_dim": 6, "dilations": (1, 2), "kernel_size": 3, **options})


@pytest.mark.parametrize("options", [{}, {"mean_only": True}, {"dim": 5}])
def test_it_is_a_flow(options):
    flow = stirred(coupling(**options))
    check_flow(flow, torch.randn(2, 5, options.get("dim", 4)))


def test_it_is_a_flow_for_every_condition():
    flow = stirred(coupling(cond_dim=3))
    x, cond = torch.randn(2, 5, 4), torch.randn(2, 5, 3)
    check_flow(flow, x, cond)
    assert not torch.allclose(flow(x.double(), cond=cond.double())[0], flow(x.double(), cond=2 * cond.double())[0])


def test_one_half_stays_and_volumes_are_kept_where_only_the_mean_moves():
    flow = stirred(coupling(mean_only=True))
    x = torch.randn(2, 5, 4)
    y, log_det = flow(x)
    assert torch.equal(y[..., :2], x[..., :2]) and not torch.allclose(y[..., 2:], x[..., 2:])
    assert (log_det == 0).all()


def test_it_begins_as_the_identity():
    x = torch.randn(2, 5, 4)
    y, log_det = coupling()(x)
    assert torch.equal(y, x) and (log_det == 0).all()
