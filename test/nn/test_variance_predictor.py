from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.variance_predictor import VariancePredictor, durations_from_logs, log_durations

B, U, D, H = 3, 11, 5, 7
LENS = torch.tensor([11, 4, 7])
every_domain = pytest.mark.parametrize("domain", ["log1p", "log"])


def test_it_equals_the_layers_of_the_paper_written_out():
    predictor, x = VariancePredictor(D, H, num_layers=2, kernel_size=3).eval(), torch.randn(1, U, D)
    y = x.transpose(1, 2)
    for conv, norm in zip(predictor.convs, predictor.norms):
        y = norm(F.conv1d(y, conv.weight, conv.bias, padding=1).relu().transpose(1, 2)).transpose(1, 2)
    expected = (y.transpose(1, 2) @ predictor.out.weight.T + predictor.out.bias).squeeze(2)
    torch.testing.assert_close(predictor(x, torch.tensor([U])), expected)


def test_padding_does_not_change_the_output_and_is_zero():
    predictor, x = VariancePredictor(D, H, num_layers=3, kernel_size=5).eval(), torch.randn(B, U, D)
    x[1, 4:] = 1e4
    out = predictor(x, LENS)
    for b, length in enumerate(LENS.tolist()):
        torch.testing.assert_close(out[b : b + 1, :length], predictor(x[b : b + 1, :length], LENS[b : b + 1]))
        assert out[b, length:].eq(0).all()


def test_gradients_reach_every_parameter():
    predictor = VariancePredictor(D, H)
    predictor(torch.randn(B, U, D), LENS).square().sum().backward()
    assert all(p.grad.ne(0).any() for p in predictor.parameters())


def test_the_size_is_that_of_fastspeech_2():
    # ming024/FastSpeech2, model/modules.py: two convolutions of 3 taps from and to 256 channels, two norms, one projection.
    expected = 2 * (256 * 256 * 3 + 256 + 2 * 256) + 257
    assert sum(p.numel() for p in VariancePredictor(256).parameters()) == expected


@every_domain
@pytest.mark.parametrize("rounding", ["half_up", "keep_total"])
def test_durations_survive_their_logarithm(domain, rounding):
    durations = torch.randint(1, 900, (B, U)).masked_fill(torch.arange(U) >= LENS.unsqueeze(1), 0)
    logs = log_durations(durations, domain)
    assert logs.dtype == torch.float32
    assert torch.equal(durations_from_logs(logs, LENS, domain=domain, rounding=rounding), durations)


def test_the_logarithms_are_natural_and_what_has_no_logarithm_counts_as_one_frame():
    durations = torch.tensor([[0, 1, 2]])
    assert log_durations(durations, "log1p")[0].tolist() == pytest.approx([0, math.log(2), math.log(3)])
    assert log_durations(durations, "log")[0].tolist() == pytest.approx([0, 0, math.log(2)])


@every_domain
def test_predictions_are_scaled_rounded_and_bounded(domain):
    lens = torch.tensor([5])
    logs = log_durations(torch.tensor([[2.0, 3.0, 1.0, 1.0, 1.0]]), domain)
    logs[0, 3:] = torch.tensor([-80.0, 2000.0])
    found = durations_from_logs(logs, lens, 0.5, domain, minimum=1, maximum=40)
    assert found.tolist() == [[1, 2, 1, 1, 20]]
    assert durations_from_logs(logs, lens, 0.5, domain, maximum=40).tolist() == [[1, 2, 1, 0, 20]]
