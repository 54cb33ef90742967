from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn import linear
from speechkit.nn.linear import Linear


@pytest.fixture(params=[0, 1 << 60], ids=["onednn", "plain"])
def route(request, monkeypatch):
    monkeypatch.setattr(linear, "_WORTHWHILE", request.param)


@pytest.mark.parametrize("shape", [(11, 5), (5, 11)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_equal_those_of_torch(route, shape, bias):
    torch.manual_seed(0)
    module = Linear(*shape, bias=bias)
    x = torch.randn(2, 7, shape[0], requires_grad=True)
    ours, theirs = module(x), F.linear(x, module.weight, module.bias)
    torch.testing.assert_close(ours, theirs)
    probe, inputs = torch.randn_like(ours), (x, *module.parameters())
    for a, b in zip(torch.autograd.grad(ours, inputs, probe), torch.autograd.grad(theirs, inputs, probe), strict=True):
        torch.testing.assert_close(a, b)


def test_autocast_computes_in_bfloat16_and_gives_gradients_in_float32(route):
    torch.manual_seed(0)
    module, x = Linear(64, 32), torch.randn(3, 7, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = module(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), F.linear(x, module.weight, module.bias), atol=0.02, rtol=0.02)
    y.float().sum().backward()
    assert module.weight.grad.dtype == torch.float32
    torch.testing.assert_close(module.weight.grad, x.sum((0, 1)).expand(32, 64), atol=0.1, rtol=0.02)


def test_gradients_of_the_bias_alone_and_without_the_input(route):
    module = Linear(5, 3)
    module.weight.requires_grad_(False)
    module(torch.randn(2, 5)).sum().backward()
    assert module.weight.grad is None and module.bias.grad.tolist() == [2, 2, 2]


def test_double_precision_takes_the_plain_route(route):
    module = Linear(5, 3).double()
    assert torch.autograd.gradcheck(module, torch.randn(2, 5, dtype=torch.double, requires_grad=True))
