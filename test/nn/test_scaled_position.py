from __future__ import annotations

import math

import torch

from speechkit.nn.scaled_position import ScaledPosition


def test_it_adds_sinusoids_times_its_factor():
    position, x = ScaledPosition(4), torch.randn(2, 7, 4)
    position.alpha.data.fill_(3.0)
    added = position(x) - x
    for t in range(7):
        expected = 3 * torch.tensor([math.sin(t), math.cos(t), math.sin(t / 100), math.cos(t / 100)])
        torch.testing.assert_close(added[0, t], expected, atol=1e-5, rtol=1e-5)


def test_what_comes_later_goes_on_where_it_was():
    position, x = ScaledPosition(4), torch.randn(2, 7, 4)
    torch.testing.assert_close(position(x[:, 5:], start=5), position(x)[:, 5:])


def test_its_factor_is_learned_and_dropout_is_for_training():
    position, x = ScaledPosition(4, dropout=0.5), torch.randn(2, 7, 4)
    position(x).sum().backward()
    assert position.alpha.grad != 0 and position(x).eq(0).any()
    assert position.eval()(x).ne(0).all()
