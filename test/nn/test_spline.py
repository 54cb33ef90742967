from __future__ import annotations

import pytest
import torch

from speechkit.nn.spline import MIN_BIN, MIN_SLOPE, rational_quadratic_spline, unit_slope

K, BOUND = 5, 3.0


def parameters(*shape: int, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return tuple(2 * torch.randn(*shape, size, dtype=dtype) for size in (K, K, K - 1))


def test_the_spline_meets_its_knots_with_its_slopes():
    widths, heights, slopes = parameters()
    shares = [MIN_BIN + (1 - K * MIN_BIN) * logits.softmax(0) for logits in (widths, heights)]
    x, y = (torch.cat([torch.zeros(1), each.cumsum(0)]) * 2 * BOUND - BOUND for each in shares)
    inner = slice(1, K)
    at = x[inner].clone().requires_grad_()
    out, log_slope = rational_quadratic_spline(at, *(p.expand(K - 1, -1) for p in (widths, heights, slopes)), BOUND)
    torch.testing.assert_close(out, y[inner])
    expected = MIN_SLOPE + torch.nn.functional.softplus(slopes)
    torch.testing.assert_close(log_slope.exp(), expected)
    torch.testing.assert_close(torch.autograd.grad(out.sum(), at)[0], expected)


def test_one_piece_equals_equation_4_of_the_paper_written_out():
    x = torch.linspace(-BOUND, BOUND, 17, dtype=torch.float64)
    widths, heights, slopes = torch.zeros(17, 2), torch.zeros(17, 2), torch.full((17, 1), 1.5)
    out, _ = rational_quadratic_spline(x, widths.double(), heights.double(), slopes.double(), BOUND)
    inner = MIN_SLOPE + torch.nn.functional.softplus(torch.tensor(1.5, dtype=torch.float64))
    for value, ours in zip(x, out):
        left = value < 0
        start, d0, d1 = (-BOUND, 1.0, inner) if left else (0.0, inner, 1.0)
        xi = (value - start) / BOUND
        theirs = start + BOUND * (xi**2 + d0 * xi * (1 - xi)) / (1 + (d1 + d0 - 2) * xi * (1 - xi))
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_the_inverse_undoes_it_and_has_the_opposite_log_slope(dtype, tolerance):
    theta = parameters(999, dtype=dtype)
    x = 1.5 * BOUND * (2 * torch.rand(999, dtype=dtype) - 1)
    y, log_slope = rational_quadratic_spline(x, *theta, BOUND)
    back, back_slope = rational_quadratic_spline(y, *theta, BOUND, inverse=True)
    steep = (-log_slope).exp().clamp(min=1)  # where the spline is flat, the last bit of y says less about x
    assert ((back - x).abs() / steep).max() <= tolerance
    assert ((log_slope + back_slope).abs() / steep).max() <= 100 * tolerance


def test_the_log_slope_is_the_derivative():
    theta = parameters(99)
    x = (1.5 * BOUND * (2 * torch.rand(99, dtype=torch.float64) - 1)).requires_grad_()
    y, log_slope = rational_quadratic_spline(x, *theta, BOUND)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0].log(), log_slope)


def test_it_rises_everywhere_is_continuous_at_its_ends_and_the_identity_outside():
    theta = parameters()
    x = torch.linspace(-4, 4, 4001, dtype=torch.float64)
    y, log_slope = rational_quadratic_spline(x, *(p.expand(4001, -1) for p in theta), BOUND)
    assert (y.diff() > 0).all()
    outside = x.abs() > BOUND
    assert torch.equal(y[outside], x[outside]) and (log_slope[outside] == 0).all()
    ends = torch.tensor([-BOUND, BOUND], dtype=torch.float64)
    at_ends, slopes = rational_quadratic_spline(ends, *(p.expand(2, -1) for p in theta), BOUND)
    torch.testing.assert_close(at_ends, ends)
    torch.testing.assert_close(slopes, torch.zeros(2).double(), atol=1e-12, rtol=0)


def test_equal_pieces_with_slopes_of_1_are_the_identity():
    x = torch.linspace(-4, 4, 31, dtype=torch.float64)
    zeros = torch.zeros(31, K, dtype=torch.float64)
    y, log_slope = rational_quadratic_spline(x, zeros, zeros, zeros[:, 1:] + unit_slope(), BOUND)
    torch.testing.assert_close(y, x)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), atol=1e-12, rtol=0)


def test_gradients_are_finite_where_logits_are_far_apart():
    theta = [(p.float() * 50).requires_grad_() for p in parameters(99)]
    x = torch.randn(99, requires_grad=True)
    for inverse in (False, True):
        out, log_slope = rational_quadratic_spline(x, *theta, BOUND, inverse)
        grads = torch.autograd.grad((out + log_slope).sum(), [x, *theta])
        assert all(grad.isfinite().all() for grad in grads)
