"""Parallel WaveGAN's generator."""

from __future__ import annotations

import math

import pytest
import torch

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.parallel_wavegan import GatedLayer, ParallelWaveGan, Upsampling

GIVEN = VocoderInput(feat_dim=5, hop_length=12, sampling_rate=16000)


def test_a_layer_gates_and_halves_the_variance_as_the_equations_say():
    layer, x, features = GatedLayer(4, 3, 2, last=False), torch.randn(1, 4, 11), torch.randn(1, 3, 11)
    t = 5
    taps = layer.dilated.weight  # (8, 4, 3)
    gates = sum(taps[..., k] @ x[0, :, t + 2 * (k - 1)] for k in range(3)) + layer.dilated.bias
    gates = gates + layer.condition.weight[..., 0] @ features[0, :, t]
    z = gates[:4].tanh() * torch.sigmoid(gates[4:])
    out = layer.out.weight[..., 0] @ z + layer.out.bias
    following, skip = layer(x, features)
    torch.testing.assert_close(skip[0, :, t], out[:4])
    torch.testing.assert_close(following[0, :, t], (x[0, :, t] + out[4:]) / math.sqrt(2))


def test_noise_is_heard_as_far_as_the_dilations_reach():
    generator = ParallelWaveGan.Config(dim=6, num_layers=6, num_cycles=2).build(given=GIVEN).double()
    feats, noise = torch.randn(1, 5, 5, dtype=torch.double), torch.randn(1, 60, dtype=torch.double)
    before = generator(feats, noise)
    noise[0, 30] += 1.0
    heard = (generator(feats, noise) - before)[0].nonzero().flatten().tolist()
    assert heard == list(range(30 - 14, 30 + 15))  # 2 * (1 + 2 + 4)


def test_upsampled_features_begin_as_smoothed_ones():
    upsampling = Upsampling(3, (3, 2))
    upsampling.start()
    x = torch.rand(2, 3, 9)
    with torch.no_grad():
        upsampling.conv_in.weight.zero_()
        upsampling.conv_in.weight[torch.arange(3), torch.arange(3), 2] = 1.0
        out = upsampling(torch.ones(2, 3, 9))
        torch.testing.assert_close(out[..., 10:-10], torch.ones(2, 3, 34))
        expected = x.repeat_interleave(3, dim=-1)
        for rate in (1, 2):  # what the first stage has done is repeated by the second
            expected = expected.repeat_interleave(rate, dim=-1)
            width = 7 if rate == 1 else 5
            expected = torch.nn.functional.avg_pool1d(expected, width, 1, width // 2)
        torch.testing.assert_close(upsampling(x), expected)


def test_the_same_seed_draws_the_same_noise_and_another_one_does_not():
    generator, feats = ParallelWaveGan.Config(dim=6, num_layers=2, num_cycles=1).build(given=GIVEN), torch.randn(2, 7, 5)
    draws = [generator.draw_noise(feats, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert draws[0].shape == (2, 84) and torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert not torch.equal(generator(feats), generator(feats))


def test_its_default_has_the_layers_of_the_paper():
    generator = ParallelWaveGan.Config().build(given=VocoderInput(80, 256, 24000))
    assert generator.rates == (4, 4, 4, 4) and len(generator.layers) == 30
    assert [layer.dilated.dilation[0] for layer in generator.layers] == 3 * [2**i for i in range(10)]
    assert generator.layers[0].dilated.weight.shape == (128, 64, 3)


def test_layers_that_make_no_whole_cycles_are_refused():
    with pytest.raises(ValueError, match=r"num_layers: expected a multiple of num_cycles 3, got 10; try 12"):
        ParallelWaveGan.Config(num_layers=10).build(given=GIVEN)
