from __future__ import annotations

import torch

from speechkit.nn.gaussian import draw_noise, gaussian_nats, sampled_divergence
from speechkit.utils.lens import padding_mask

LENS = torch.tensor([5, 3])
PADDING = padding_mask(LENS)


def gaussians(n: int) -> list[torch.Tensor]:
    return [0.5 * torch.randn(2, 5, 3, dtype=torch.float64) for _ in range(n)]


def test_nats_are_those_of_torchs_normal_distribution_without_padding():
    z, means, log_stds = gaussians(3)
    expected = torch.distributions.Normal(means, log_stds.exp()).log_prob(z).masked_fill(PADDING.unsqueeze(2), 0.0)
    torch.testing.assert_close(gaussian_nats(z, means, log_stds, PADDING), -expected.sum((1, 2)))
    z[1, 3:] = torch.inf
    torch.testing.assert_close(gaussian_nats(z, means, log_stds, PADDING), -expected.sum((1, 2)))


def test_the_sampled_divergence_is_right_on_average():
    posterior_means, posterior_log_stds, means, log_stds = gaussians(4)
    q = torch.distributions.Normal(posterior_means, posterior_log_stds.exp())
    exact = torch.distributions.kl_divergence(q, torch.distributions.Normal(means, log_stds.exp()))
    exact = exact.masked_fill(PADDING.unsqueeze(2), 0.0).sum((1, 2))
    draws = torch.stack([sampled_divergence(q.sample(), posterior_log_stds, means, log_stds, PADDING) for _ in range(3000)])
    assert ((draws.mean(0) - exact).abs() < 4 * draws.std(0) / 3000**0.5).all()
    assert (exact > 1).all()


def test_the_sampled_divergence_of_equal_distributions_has_mean_zero():
    means, log_stds = gaussians(2)
    q = torch.distributions.Normal(means, log_stds.exp())
    draws = torch.stack([sampled_divergence(q.sample(), log_stds, means, log_stds, PADDING) for _ in range(3000)])
    assert (draws.mean(0).abs() < 4 * draws.std(0) / 3000**0.5).all()
    assert draws.std(0).max() < 4  # so that the bound above is below 0.3 nats


def test_noise_does_not_depend_on_the_padding():
    like = torch.zeros(2, 4, 2)
    generator = torch.Generator()
    noise = draw_noise(like, torch.tensor([2, 4]), generator.manual_seed(1))
    more = draw_noise(torch.zeros(2, 9, 2), torch.tensor([2, 4]), generator.manual_seed(1))
    assert torch.equal(noise, more[:, :4])
    assert (noise[0, 2:] == 0).all() and (more[:, 4:] == 0).all() and (noise[0, :2] != 0).all()
