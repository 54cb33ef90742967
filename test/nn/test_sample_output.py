from __future__ import annotations

import math

import pytest
import torch

from speechkit.nn.sample_output import (
    LEVELS,
    CoarseFineOutput,
    GaussiansOutput,
    LogisticsOutput,
    MuLawOutput,
    join_bytes,
    split_bytes,
)


def all_levels() -> torch.Tensor:
    return torch.arange(-32768, 32768, dtype=torch.float64) / 32768


def test_two_bytes_reassemble_every_level_of_16_bits_exactly():
    wav = all_levels().float()
    coarse, fine = split_bytes(wav)
    assert torch.equal(join_bytes(coarse, fine), wav)
    assert coarse.min() == fine.min() == 0 and coarse.max() == fine.max() == 255
    assert (coarse * 256 + fine).unique().numel() == LEVELS


def test_what_is_too_loud_has_the_outermost_bytes():
    assert [byte.tolist() for byte in split_bytes(torch.tensor([-1.5, 1.0]))] == [[0, 255], [0, 255]]


@pytest.mark.parametrize("scale", [1e-5, 1e-3, 0.1, 10.0])
def test_the_probabilities_of_all_levels_add_up_to_1(scale):
    output = LogisticsOutput(3)
    params = torch.randn(9).double()
    params[6:] = math.log(scale) + 0.1 * params[6:]
    nats = output.nats(params.expand(1, LEVELS, 9), all_levels()[None])
    torch.testing.assert_close(nats.neg().exp().sum(), torch.ones(()).double())


def test_the_log_probability_of_a_level_is_the_difference_of_two_sigmoids():
    params = torch.tensor([0.3, 0.1, -4.0]).double()
    wav = torch.tensor([0.125]).double()
    edges = ((wav + torch.tensor([0.5, -0.5]) / 32768 - 0.1) * math.exp(4)).sigmoid()
    torch.testing.assert_close(LogisticsOutput(1).nats(params[None, None], wav[None])[0], -(edges[:1] - edges[1:]).log())


def test_a_level_far_from_every_component_has_finite_nats_and_gradients_in_single_precision():
    for output in (LogisticsOutput(2), GaussiansOutput(2)):
        params = torch.tensor([0.0, 0.0, -0.9, -0.9, -20.0, -6.0], requires_grad=True)
        nats = output.nats(params[None, None], torch.tensor([[0.9]]))
        assert nats.isfinite().all() and torch.autograd.grad(nats.sum(), params)[0].isfinite().all()


def test_gaussians_are_those_of_torch():
    params, wav = torch.randn(2, 5, 9).double(), torch.randn(2, 5).double()
    logits, means, log_scales = params.chunk(3, dim=-1)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=logits), torch.distributions.Normal(means, log_scales.exp())
    )
    torch.testing.assert_close(GaussiansOutput(3).nats(params, wav), -mixture.log_prob(wav))


def test_equal_logits_say_the_logarithm_of_the_number_of_codes():
    wav = torch.rand(2, 5) - 0.5
    torch.testing.assert_close(MuLawOutput(9).nats(torch.zeros(2, 5, 512), wav), torch.full((2, 5), 9 * math.log(2)))
    torch.testing.assert_close(CoarseFineOutput().nats(torch.zeros(2, 5, 512), wav), torch.full((2, 5), 16 * math.log(2)))


def test_a_network_hears_numbers_from_minus_1_to_1():
    wav = torch.tensor([-1.0, 1.0])
    assert MuLawOutput(8).inputs(wav).tolist() == [[-1], [1]]
    assert CoarseFineOutput().inputs(wav).tolist() == [[-1, -1], [1, 1]]
    assert GaussiansOutput(1).inputs(torch.tensor([-3.0, 0.5])).tolist() == [[-1], [0.5]]


@pytest.mark.parametrize(("output", "deviation"), [(LogisticsOutput(2), math.pi / 3**0.5), (GaussiansOutput(2), 1.0)])
def test_the_noise_of_mixtures_is_a_uniform_number_and_one_of_the_unit_component(output, deviation):
    noise = output.draw_noise(20000, torch.zeros(1), torch.Generator().manual_seed(0))
    assert 0 <= noise[:, 0].min() and noise[:, 0].max() < 1 and abs(noise[:, 0].mean() - 0.5) < 0.01
    assert abs(noise[:, 1].mean()) < 0.05 and abs(noise[:, 1].std() - deviation) < 0.05
