from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from speechkit.nn.norm import MaskedBatchNorm
from speechkit.utils.lens import padding_mask

B, T, D = 3, 17, 5
LENS = torch.tensor([17, 4, 11])


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(B, T, D) * torch.arange(1.0, D + 1) + 3


def reference(x: Tensor, momentum: float = 0.1) -> tuple[nn.BatchNorm1d, MaskedBatchNorm]:
    theirs, ours = nn.BatchNorm1d(D, momentum=momentum), MaskedBatchNorm(D, momentum=momentum)
    with torch.no_grad():
        for module in (theirs, ours):
            module.weight.copy_(torch.linspace(0.5, 2, D))
            module.bias.copy_(torch.linspace(-1, 1, D))
    return theirs, ours


@pytest.mark.parametrize("padded", [False, True])
def test_training_equals_torch_batch_norm_over_the_valid_frames(x, padded):
    theirs, ours = reference(x)
    mask = padding_mask(LENS, T) if padded else torch.zeros(B, T, dtype=torch.bool)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected = theirs(a[~mask])
    got = ours(b, mask if padded else None)[~mask]
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    probe = torch.randn_like(expected)
    (expected * probe).sum().backward()
    (got * probe).sum().backward()
    torch.testing.assert_close(b.grad, a.grad)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)


def test_evaluation_equals_torch_batch_norm(x):
    theirs, ours = reference(x, momentum=0.5)
    theirs(x.flatten(0, 1)), ours(x)
    theirs.eval(), ours.eval()
    torch.testing.assert_close(ours(x), theirs(x.flatten(0, 1)).view_as(x))


def test_what_lies_at_padding_does_not_matter_even_if_it_is_not_a_number(x):
    mask = padding_mask(LENS, T)
    module = MaskedBatchNorm(D)
    expected = module(x, mask)[~mask]
    got = module(x.masked_fill(mask.unsqueeze(-1), float("nan")), mask)[~mask]
    torch.testing.assert_close(got, expected)


def test_a_single_valid_frame_does_not_break_the_running_statistics():
    module = MaskedBatchNorm(D)
    y = module(torch.randn(1, 1, D))
    assert y.isfinite().all() and module.running_var.isfinite().all()


def test_a_large_mean_does_not_spoil_the_variance(x):
    _, ours = reference(x)
    mask = padding_mask(LENS, T)
    torch.testing.assert_close(ours(x + 1e4, mask)[~mask], ours(x, mask)[~mask], atol=0.02, rtol=0.02)
