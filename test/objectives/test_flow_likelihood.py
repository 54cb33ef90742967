from __future__ import annotations

import math

import pytest
import torch

from speechkit.objectives.flow_likelihood import flow_nats


def test_the_density_of_an_affine_map_of_noise_is_that_of_torch():
    """x = A z + b with z of deviation 0.7 is Gaussian with covariance 0.49 A A^T."""
    matrix, shift, x = torch.randn(5, 5).double(), torch.randn(5).double(), torch.randn(3, 5).double()
    z = torch.linalg.solve(matrix, (x - shift).T).T
    log_det = -torch.linalg.slogdet(matrix).logabsdet.expand(3)
    nats = flow_nats([z[:, :2], z[:, 2:]], log_det, sigma=0.7)
    expected = torch.distributions.MultivariateNormal(shift, 0.49 * matrix @ matrix.T).log_prob(x)
    torch.testing.assert_close(nats, -expected)
    torch.testing.assert_close(flow_nats([z], log_det, 0.7, normalize="sample"), -expected / 5)


def test_silence_through_the_identity_costs_the_constant():
    parts, zero = [torch.zeros(2, 3, 4), torch.zeros(2, 7)], torch.zeros(2)
    torch.testing.assert_close(flow_nats(parts, zero, normalize="sample"), torch.full((2,), 0.918939))
    torch.testing.assert_close(flow_nats(parts, zero), torch.full((2,), 19 * 0.5 * math.log(2 * math.pi)))


def test_the_gradient_is_that_of_the_published_loss():
    """Squares over 2 sigma^2, less the log-determinant."""
    z, log_det = torch.randn(2, 9, requires_grad=True), torch.randn(2, requires_grad=True)
    grads = torch.autograd.grad(flow_nats([z], log_det, sigma=2.0).sum(), [z, log_det])
    torch.testing.assert_close(grads[0], z.detach() / 4)
    torch.testing.assert_close(grads[1], -torch.ones(2))


def test_noise_without_width_is_refused():
    with pytest.raises(ValueError, match="sigma: expected more than 0, got 0"):
        flow_nats([torch.zeros(1, 2)], torch.zeros(1), sigma=0.0)
