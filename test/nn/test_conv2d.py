from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.conv2d import conv2d


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("input_grad", [False, True])
def test_values_and_gradients_are_torchs(batch, channels_last, input_grad):
    x = torch.randn(batch, 3, 17, 11, dtype=torch.float64)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(5, 3, 3, 3, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    results = []
    for function in (conv2d, lambda *a: F.conv2d(*a)):
        leaves = [x.detach().clone().requires_grad_(input_grad), weight.clone().requires_grad_(), bias.clone().requires_grad_()]
        out = function(*leaves, (2, 2))
        out.square().sum().backward()
        results.append([out.detach(), *(leaf.grad for leaf in leaves if leaf.requires_grad)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_under_bfloat16_autocast_gradients_of_many_calls_add_up_in_float32():
    weight, bias = torch.randn(5, 1, 3, 3, requires_grad=True), torch.zeros(5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        sum(conv2d(torch.ones(1, 1, 7, 7), weight, bias, (2, 2)).float().sum() for _ in range(3)).backward()
    assert weight.grad.dtype == torch.float32
    torch.testing.assert_close(weight.grad, torch.full_like(weight, 27.0), rtol=0.02, atol=0.0)
