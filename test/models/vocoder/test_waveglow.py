from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.waveglow import WaveGlow
from speechkit.objectives.flow_likelihood import flow_nats

SMALL = {"num_flows": 5, "group_size": 4, "early_every": 2, "early_size": 1, "dim": 6, "num_layers": 2}


def build(hop_length: int = 12, **options) -> WaveGlow:
    torch.manual_seed(0)
    given = VocoderInput(feat_dim=3, hop_length=hop_length, sampling_rate=8000)
    vocoder = WaveGlow.Config(**{**SMALL, **options}).build(given=given).double().eval()
    with torch.no_grad():
        for name, parameter in vocoder.named_parameters():
            if ".end." in name:  # couplings begin as the identity
                parameter.copy_(0.2 * torch.randn_like(parameter))
    return vocoder


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("num_frames", [1, 7])
def test_the_waveform_of_the_noise_of_a_waveform_is_that_waveform(dtype, tolerance, num_frames):
    vocoder = build().to(dtype)
    feats, wav = torch.randn(2, num_frames, 3, dtype=dtype), torch.rand(2, 12 * num_frames, dtype=dtype) - 0.5
    noise, log_det = vocoder(feats, wav)
    assert [part.shape[2] for part in noise] == [1, 1, 2] and sum(part[0].numel() for part in noise) == wav.shape[1]
    assert log_det.shape == (2,)
    assert (vocoder.inverse(feats, noise) - wav).abs().max() <= tolerance


def test_the_log_determinant_is_that_of_the_jacobian():
    vocoder = build(hop_length=8)
    feats, wav = torch.randn(2, 1, 3).double(), torch.rand(2, 8).double() - 0.5
    _, log_det = vocoder(feats, wav)

    def noise(b, one):
        return torch.cat([part.flatten() for part in vocoder(feats[b : b + 1], one[None])[0]])

    for b in range(2):
        jacobian = torch.autograd.functional.jacobian(lambda one, b=b: noise(b, one), wav[b])
        torch.testing.assert_close(log_det[b], torch.linalg.slogdet(jacobian).logabsdet)


def test_an_utterance_sounds_the_same_alone_and_in_a_batch_and_has_its_length():
    vocoder = build()
    feats, lens = torch.randn(3, 7, 3).double(), torch.tensor([7, 0, 4])
    wav, wav_lens = vocoder.generate(feats, lens, torch.Generator().manual_seed(1))
    assert wav.shape == (3, 84) and wav_lens.tolist() == [84, 0, 48] and (wav[2, 48:] == 0).all() and wav.abs().sum() > 0
    generator = torch.Generator().manual_seed(1)
    for row, each, length in zip(wav, feats, lens):
        assert torch.equal(row[: 12 * length], vocoder.speak(each[:length], generator).clamp(-1, 1))


def test_without_temperature_speech_is_made_of_the_noise_0():
    vocoder = build(temperature=0.0)
    feats = torch.randn(1, 4, 3).double()
    zeros = [torch.zeros_like(part) for part in vocoder.draw_noise(feats)]
    torch.testing.assert_close(vocoder.speak(feats[0]), vocoder.inverse(feats, zeros)[0])
    noise = build(temperature=0.6).draw_noise(torch.zeros(1, 999, 3))
    assert abs(torch.cat([part.flatten() for part in noise]).std() - 0.6) < 0.02


@pytest.mark.parametrize("hop_length", [12, 20])
def test_a_frame_is_heard_in_the_samples_around_its_own(hop_length):
    vocoder = build(hop_length)
    feats = torch.randn(1, 9, 3).double()
    changed = feats.clone()
    changed[0, 4] += 1.0
    moved = (vocoder._condition(changed) - vocoder._condition(feats)).abs().reshape(-1, 3).amax(1) > 0
    heard = moved.nonzero().flatten()
    middle = (4 + 0.5) * hop_length
    assert abs((heard.min() + heard.max() + 1) / 2 - middle) <= 0.5 and len(heard) == 4 * hop_length


def test_the_likelihood_learns_the_loudness_of_noise():
    """The best model of white noise of deviation 0.5 has ln 0.5 + (1 + ln 2 pi) / 2 = 0.726 nats per sample."""
    torch.manual_seed(0)
    vocoder = build(hop_length=4, num_flows=2).float().train()
    optimizer = torch.optim.Adam(vocoder.parameters(), lr=2e-2)
    feats = torch.zeros(8, 64, 3)
    for _ in range(60):
        nats = flow_nats(*vocoder(feats, 0.5 * torch.randn(8, 256)), normalize="sample").mean()
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
    assert 0.68 < nats.item() < 0.78


def test_the_gradient_reaches_every_parameter():
    vocoder = build()
    flow_nats(*vocoder(torch.randn(2, 3, 3).double(), torch.rand(2, 36).double())).sum().backward()
    for name, parameter in vocoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="group_size: expected a divisor of the hop length 10, got 4"):
        build(hop_length=10)
    with pytest.raises(ValidationError, match="early_size: expected to leave 2 of 4 channels or more after 5 flows, got 2 every 2"):
        WaveGlow.Config(**{**SMALL, "early_size": 2})
    with pytest.raises(ValidationError, match="kernel_size: expected an odd number, got 4; try 5"):
        WaveGlow.Config(kernel_size=4)
