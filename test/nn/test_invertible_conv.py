from __future__ import annotations

import pytest
import torch
from flow_cases import check_flow, stirred

from speechkit.nn.invertible_conv import InvertibleConv


@pytest.mark.parametrize(("dim", "group_size"), [(5, None), (8, 4), (8, 2), (4, 4)])
def test_it_is_a_flow(dim, group_size):
    check_flow(stirred(InvertibleConv(dim, group_size)), torch.randn(2, 3, dim))


def test_it_begins_as_a_rotation():
    weight = InvertibleConv(7).weight.detach().double()
    torch.testing.assert_close(weight @ weight.T, torch.eye(7).double(), atol=1e-6, rtol=0)
    assert torch.linalg.det(weight) > 0


def test_groups_take_half_of_their_channels_from_each_half():
    """Glow-TTS with groups of 4 and 8 channels: the first group is 0, 1 and 4, 5, the second 2, 3 and 6, 7."""
    conv = InvertibleConv(8, 4)
    jacobian = torch.autograd.functional.jacobian(lambda x: conv(x)[0], torch.zeros(1, 1, 8)).reshape(8, 8)
    for channels in ([0, 1, 4, 5], [2, 3, 6, 7]):
        assert torch.equal(jacobian[channels][:, channels], conv.weight.detach())
        others = [i for i in range(8) if i not in channels]
        assert (jacobian[channels][:, others] == 0).all()


@pytest.mark.parametrize("group_size", [3, 0, 16])
def test_groups_that_do_not_fit_are_refused(group_size):
    with pytest.raises(ValueError, match=f"expected an even divisor of the 8 channels, got {group_size}"):
        InvertibleConv(8, group_size)
