"""The contract of every vocoder that is trained against discriminators, over the registry."""

from __future__ import annotations

import copy

import pytest
import torch

from speechkit.config import ConfigError, dump, validate
from speechkit.models.vocoder.base import Vocoder, VocoderInput, WaveGenerator
from speechkit.nn.weight_norm import remove_weight_norm

F_BINS = 5
SMALL = {
    "hifigan": {"dim": 16, "kernel_sizes": [3, 5], "dilations": [[1, 3], [2]], "num_stages": 2},
    "melgan": {"dim": 4, "num_blocks": 2, "num_stages": 2},
    "parallel_wavegan": {"dim": 6, "num_layers": 4, "num_cycles": 2, "num_stages": 2},
    "istft": {"dim": 14, "ff_dim": 22, "num_layers": 2, "overlap": 3},
}
NAMES = [name for name, cls in Vocoder.registry.items() if issubclass(cls, WaveGenerator)]

every_generator = pytest.mark.parametrize("name", NAMES)


def build(name: str, hop_length: int = 12) -> WaveGenerator:
    torch.manual_seed(0)
    config = validate(Vocoder.registry[name].Config, {"name": name, **SMALL.get(name, {})})
    return config.build(given=VocoderInput(F_BINS, hop_length, 16000))


@every_generator
@pytest.mark.parametrize("hop_length", [7, 12, 15])
def test_every_number_of_frames_gives_exactly_so_many_hops(name, hop_length):
    generator = build(name, hop_length)
    for frames in (1, 2, 3, 4, 17):
        assert generator(torch.randn(2, frames, F_BINS)).shape == (2, frames * hop_length)


@every_generator
def test_an_utterance_sounds_the_same_alone_and_in_a_padded_batch(name):
    generator, feats, lens = build(name).eval(), torch.randn(3, 17, F_BINS), torch.tensor([17, 5, 0])
    feats[1, 5:] = 1e3
    wav, wav_lens = generator.generate(feats, lens, torch.Generator().manual_seed(3))
    assert wav.shape == (3, 17 * 12) and wav_lens.tolist() == [204, 60, 0] and wav_lens.dtype == torch.int64
    assert wav.abs().max() <= 1 and (wav[1, 60:] == 0).all() and (wav[2] == 0).all()
    source = torch.Generator().manual_seed(3)
    generator.speak(feats[0], source)  # draws what the first one draws
    torch.testing.assert_close(generator.speak(feats[1, :5], source).clamp(-1, 1), wav[1, :60], atol=1e-6, rtol=1e-5)


@every_generator
def test_segments_of_a_batch_do_not_hear_each_other(name):
    generator, feats = build(name).eval(), torch.randn(2, 7, F_BINS)
    noise = generator.draw_noise(feats)
    both = generator(feats, noise)
    alone = generator(feats[1:], None if noise is None else noise[1:])
    torch.testing.assert_close(both[1:], alone, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(both[0], both[1])


@every_generator
def test_the_gradient_reaches_every_parameter(name):
    generator = build(name)
    generator(torch.randn(2, 7, F_BINS)).square().sum().backward()
    for key, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


@every_generator
def test_removing_the_weight_normalisation_leaves_the_output_as_it_is(name):
    generator, feats = build(name).eval(), torch.randn(2, 7, F_BINS)
    noise = generator.draw_noise(feats)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(1.3)
    expected, plain = generator(feats, noise), copy.deepcopy(generator)
    remove_weight_norm(plain)
    torch.testing.assert_close(plain(feats, noise), expected, atol=1e-6, rtol=1e-5)
    assert not any("parametrizations" in key for key in plain.state_dict())
    if hasattr(generator, "remove_weight_norm"):
        assert sum(map(torch.numel, plain.parameters())) < sum(map(torch.numel, generator.parameters()))


@every_generator
def test_the_state_and_the_config_make_a_round_trip(name):
    generator, feats = build(name).eval(), torch.randn(2, 7, F_BINS)
    noise = generator.draw_noise(feats)
    torch.manual_seed(5)
    other = generator.config.build(given=generator.given).eval()
    assert not torch.allclose(other(feats, noise), generator(feats, noise))
    other.load_state_dict(generator.state_dict())
    assert torch.equal(other(feats, noise), generator(feats, noise))
    assert name in dump(generator.config)


@every_generator
def test_training_under_bfloat16_autocast_is_close_to_float32(name):
    generator, feats = build(name), torch.randn(2, 7, F_BINS)
    noise = generator.draw_noise(feats)
    expected = generator(feats, noise)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = generator(feats, noise).float()
    got.square().sum().backward()
    assert (got - expected).square().mean().sqrt() < 0.05 * expected.std() + 1e-3
    assert all(parameter.grad.isfinite().all() for parameter in generator.parameters())


@pytest.mark.parametrize("name", ["hifigan", "melgan", "parallel_wavegan"])
def test_rates_that_do_not_multiply_to_the_hop_length_are_refused(name):
    config = Vocoder.registry[name].Config(upsample_rates=(4, 2))
    with pytest.raises(ValueError, match=rf"{name}.upsample_rates: expected .* hop_length 12, .* got \[4, 2\]"):
        config.build(given=VocoderInput(F_BINS, 12, 16000))


def test_a_wrong_key_is_refused():
    with pytest.raises(ConfigError, match="upsample_rate: unknown key; did you mean upsample_rates"):
        validate(Vocoder.registry["hifigan"].Config, {"name": "hifigan", "upsample_rate": [8, 8, 2, 2]})
