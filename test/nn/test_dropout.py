from __future__ import annotations

import torch

from speechkit.nn.dropout import Dropout


def test_the_share_of_zeros_is_p_and_the_rest_is_scaled():
    torch.manual_seed(0)
    y = Dropout(0.1)(torch.ones(500, 1001))
    assert abs((y == 0).float().mean().item() - 0.1) < 0.002  # 4 standard deviations are 0.0017
    torch.testing.assert_close(y[y != 0].unique(), torch.tensor([1 / 0.9]))


def test_the_expectation_is_the_input():
    torch.manual_seed(0)
    assert abs(Dropout(0.3)(torch.ones(1_000_003)).mean().item() - 1) < 0.003


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    dropped = (Dropout(0.2)(torch.ones(1_000_003)) == 0).float()
    for lag in (1, 2, 4, 8, 64):
        both = (dropped[:-lag] * dropped[lag:]).mean().item()
        assert abs(both - 0.04) < 0.001, lag


def test_the_gradient_meets_the_mask_of_the_forward_pass():
    torch.manual_seed(0)
    x = torch.randn(17, 37, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, (y / x).detach())


def test_evaluation_and_p_zero_leave_the_input_alone():
    x = torch.randn(3, 5)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)


def test_a_seed_fixes_the_mask():
    x, dropout = torch.ones(3, 1000), Dropout(0.5)
    torch.manual_seed(3)
    first = dropout(x)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(dropout(x), first)
