from __future__ import annotations

import sys

import pytest
import torch
from torch.nn import functional as F

from speechkit.nn.repeated_linear import RepeatedLinear

B, T, K, N = 3, 5, 7, 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_a_product_in_each_step(dtype):
    weight, xs = torch.randn(N, K, dtype=dtype, requires_grad=True), torch.randn(T, B, K, dtype=dtype, requires_grad=True)
    product = RepeatedLinear(weight)
    ours = torch.stack([product(x) for x in xs]).sin().sum()
    theirs = torch.stack([F.linear(x, weight) for x in xs]).sin().sum()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, [weight, xs]), torch.autograd.grad(theirs, [weight, xs]))


def test_gradients_go_through_a_recurrence():
    weight, first = torch.randn(K, K, requires_grad=True), torch.randn(B, K, requires_grad=True)

    def run(step):
        x = first
        for _ in range(T):
            x = step(x).tanh()
        return torch.autograd.grad(x.sum(), [weight, first], retain_graph=True)

    torch.testing.assert_close(run(RepeatedLinear(weight)), run(lambda x: F.linear(x, weight)))


def test_each_utterance_can_have_its_own_matrix():
    weight = torch.randn(B, N, K, requires_grad=True)
    xs = torch.randn(T, B, 2, K, requires_grad=True)
    product = RepeatedLinear(weight)
    ours = sum(product(x).square().sum() for x in xs)
    theirs = (xs @ weight.mT).square().sum()
    torch.testing.assert_close(torch.autograd.grad(ours, [weight, xs]), torch.autograd.grad(theirs, [weight, xs]))


def test_the_backward_pass_can_be_asked_twice():
    weight = torch.randn(N, K, requires_grad=True)
    product = RepeatedLinear(weight)
    total = sum(product(torch.randn(B, K)).sum() for _ in range(T))
    first, second = (torch.autograd.grad(total, weight, retain_graph=True) for _ in range(2))
    torch.testing.assert_close(first, second)


def test_a_frozen_matrix_keeps_nothing():
    product, x = RepeatedLinear(torch.randn(N, K)), torch.randn(B, K, requires_grad=True)
    product(x).sum().backward()
    assert x.grad is not None and not product._pairs


@pytest.mark.parametrize("learns", [False, True])
def test_a_graph_that_is_dropped_frees_what_it_held(learns):
    weight, x = torch.randn(N, K, requires_grad=True), torch.randn(B, K, requires_grad=True)
    product = RepeatedLinear(weight)
    loss, pairs = product(x * 2).sum(), product._pairs
    if learns:
        loss.backward()
    del product, loss
    assert sys.getrefcount(pairs) == 2 and not pairs  # that of this test and that of the call: no circle holds it


def test_autocast_multiplies_in_its_type():
    weight = torch.randn(N, K, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = RepeatedLinear(weight)(torch.randn(B, K))
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert weight.grad.dtype == torch.float32 and weight.grad.ne(0).all()
