"""Losses of waveforms, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from speechkit.features.fbank import Fbank
from speechkit.features.mel import HifiganMel
from speechkit.objectives.spectral import MelLoss, StftLoss, WaveLoss

MEL = HifiganMel.Config(sampling_rate=8000, n_fft=64, hop_length=16, win_length=64, num_mel_bins=7, high_freq=0)
RESOLUTIONS = ((64, 10, 48), (32, 8, 32))
CONFIGS = {"stft": StftLoss.Config(resolutions=RESOLUTIONS), "mel": MelLoss.Config()}

every_loss = pytest.mark.parametrize("name", WaveLoss.registry)


def build(name: str) -> WaveLoss:
    return CONFIGS[name].build(featurizer=MEL.build())


def test_every_loss_has_a_case():
    assert CONFIGS.keys() == WaveLoss.registry.keys()


@every_loss
def test_it_is_zero_for_equal_waveforms_and_for_no_others_but_their_negatives(name):
    loss, wav = build(name), torch.randn(3, 211)
    assert (loss(wav.clone(), wav) == 0).all()
    torch.testing.assert_close(loss(-wav, wav), torch.zeros(3), atol=1e-5, rtol=0)
    others = [wav.flip(1), wav.roll(5, 1), wav * 1.01, wav + 0.01 * torch.randn(3, 211)]
    for other in others:
        assert (loss(other, wav) > 1e-3).all()


@every_loss
@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_a_waveform_that_is_so_many_times_louder_has_a_loss_in_closed_form(name, gain):
    wav = torch.randn(2, 211)  # loud enough for floors not to matter
    convergence = abs(gain - 1) if name == "stft" else 0.0
    expected = torch.full((2,), convergence + abs(math.log(gain)))
    torch.testing.assert_close(build(name)(gain * wav, wav), expected, atol=1e-4, rtol=1e-4)


@every_loss
def test_the_loss_of_a_segment_does_not_depend_on_its_batch(name):
    loss, fake, real = build(name), torch.randn(3, 211), torch.randn(3, 211)
    fake.requires_grad_()
    together = loss(fake, real)
    torch.testing.assert_close(together[1:2], loss(fake[1:2], real[1:2]))
    (gradient,) = torch.autograd.grad(together[1], fake)
    assert (gradient[[0, 2]] == 0).all() and (gradient[1] != 0).any()


@every_loss
@pytest.mark.parametrize(("fake_level", "real_level"), [(0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (1e-6, 0.0), (0.5, 0.5)])
def test_the_gradient_is_finite_in_silence_and_where_nothing_is_wrong(name, fake_level, real_level):
    noise = torch.randn(2, 211)
    fake, real = (fake_level * noise).requires_grad_(), real_level * noise
    loss = build(name)(fake, real)
    loss.sum().backward()
    assert loss.isfinite().all() and fake.grad.isfinite().all()


def test_the_gradient_of_the_stft_loss_is_that_of_finite_differences():
    loss = StftLoss.Config(resolutions=((16, 4, 12), (9, 3, 9))).build(featurizer=MEL.build()).double()
    fake, real = torch.randn(2, 23, dtype=torch.double, requires_grad=True), torch.randn(2, 23, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda wav: loss(wav, real), fake)


def test_spectral_convergence_and_log_magnitudes_are_those_of_the_paper():
    fake, real = torch.randn(1, 211), torch.randn(1, 211)
    total = 0.0
    for n_fft, hop, win in RESOLUTIONS:
        ours, theirs = (
            torch.stft(wav[0], n_fft, hop, win, torch.hann_window(win), return_complex=True).abs() for wav in (fake, real)
        )
        total += torch.linalg.matrix_norm(theirs - ours) / torch.linalg.matrix_norm(theirs)
        total += (theirs.log() - ours.log()).abs().sum() / theirs.numel()
    torch.testing.assert_close(build("stft")(fake, real), (total / 2).view(1), atol=1e-3, rtol=1e-3)


def test_the_mel_loss_compares_the_features_that_it_is_told_to():
    fake, real, lens = torch.randn(2, 211), torch.randn(2, 211), torch.tensor([211, 211])
    other = HifiganMel.Config(sampling_rate=8000, n_fft=32, hop_length=8, win_length=32, num_mel_bins=3, high_freq=0)
    for config, featurizer in ((MelLoss.Config(), MEL.build()), (MelLoss.Config(featurizer=other), other.build())):
        expected = (featurizer(fake, lens)[0] - featurizer(real, lens)[0]).abs().mean((1, 2))
        torch.testing.assert_close(config.build(featurizer=MEL.build())(fake, real), expected)


def test_features_of_another_sampling_rate_or_without_gradients_are_refused():
    with pytest.raises(
        ValueError, match="mel.featurizer.sampling_rate: expected that of the waveforms, 8000 Hz, got 22050 Hz"
    ):
        MelLoss.Config(featurizer=HifiganMel.Config()).build(featurizer=MEL.build())
    kaldi = Fbank.Config(sampling_rate=8000, backend="kaldi_native_fbank").build()
    with pytest.raises(ValueError, match="mel.featurizer.backend: expected torch, .* got kaldi_native_fbank"):
        MelLoss.Config().build(featurizer=kaldi)


@every_loss
def test_half_precision_comes_out_as_float32(name):
    fake = torch.randn(2, 211).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = build(name)(fake, torch.randn(2, 211))
    assert loss.dtype == torch.float32
