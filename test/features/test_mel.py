from __future__ import annotations

import pytest
import torch

from speechkit.features.mel import HifiganMel, WhisperMel
from speechkit.features.spectrum import slaney_filters


def noise(length: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(length, generator=generator) * torch.linspace(0, 1, length).square()


def ours(config, wav: torch.Tensor) -> torch.Tensor:
    return config.build()(wav.unsqueeze(0), torch.tensor([len(wav)]))[0][0]


def test_whisper_is_the_published_formula():
    wav = noise(16000)
    stft = torch.stft(wav, 400, 160, window=torch.hann_window(400), return_complex=True)
    mel = torch.from_numpy(slaney_filters(16000, 400, 80, 0.0, 8000.0)).float().T @ stft[..., :-1].abs() ** 2
    log_spec = mel.clamp(min=1e-10).log10()
    expected = (torch.maximum(log_spec, log_spec.max() - 8.0) + 4.0) / 4.0
    torch.testing.assert_close(ours(WhisperMel.Config(), wav), expected.T, atol=1e-4, rtol=0)


def test_whisper_is_that_of_kaldi_native_fbank():
    import kaldi_native_fbank as knf
    import numpy as np

    wav = noise(16000)
    options = knf.WhisperFeatureOptions()
    options.dim = 80
    computer = knf.OnlineWhisperFbank(options)
    # Its frames are centred half a hop later than Whisper's; its edges are Kaldi's, so only the inside is compared.
    computer.accept_waveform(16000, torch.nn.functional.pad(wav, (80, 0)).numpy())
    computer.input_finished()
    frames = [computer.get_frame(t) for t in range(computer.num_frames_ready)]
    mel = torch.from_numpy(np.stack(frames)).log10()
    feats = ours(WhisperMel.Config(), wav)
    difference = feats[2:98] - ((mel + 4.0) / 4.0)[2:98]
    heard = feats[2:98] > feats.min()  # not at the floor below the peak, which it leaves to its users
    assert heard.float().mean() > 0.9 and difference[heard].abs().max() < 1e-3


def test_whisper_takes_each_utterances_own_peak():
    wav = torch.stack([noise(4000), 1e-3 * noise(4000)])
    feats, _ = WhisperMel.Config().build()(wav, torch.tensor([4000, 4000]))
    assert feats[0].max() - feats[1].max() == pytest.approx(6 / 4, abs=1e-3)  # 60 dB, a quarter per factor ten
    for row in feats:
        assert row.max() - row.min() <= 2.0 + 1e-6  # never more than eight powers of ten below the peak


@pytest.mark.parametrize(
    "options",
    [{}, {"sampling_rate": 24000, "n_fft": 2048, "hop_length": 300, "win_length": 1200, "high_freq": 0.0}],
    ids=["published", "24 kHz"],
)
def test_hifigan_is_the_published_formula(options):
    config = HifiganMel.Config(**options)
    wav, upper = noise(22050), config.high_freq or config.sampling_rate / 2
    padding = (config.n_fft - config.hop_length) // 2
    padded = torch.nn.functional.pad(wav[None], (padding, padding), mode="reflect")[0]
    window = torch.hann_window(config.win_length)
    stft = torch.stft(
        padded, config.n_fft, config.hop_length, config.win_length, window, center=False, return_complex=True
    )
    magnitude = (stft.real**2 + stft.imag**2 + 1e-9).sqrt()
    filters = torch.from_numpy(slaney_filters(config.sampling_rate, config.n_fft, 80, 0.0, upper)).float()
    expected = (filters.T @ magnitude).clamp(min=1e-5).log().T
    torch.testing.assert_close(ours(config, wav), expected, atol=1e-4, rtol=0)


def test_hifigan_has_a_frame_per_hop():
    featurizer = HifiganMel.Config().build()
    for frames in (1, 2, 17):
        assert featurizer.num_frames(256 * frames) == featurizer.num_frames(256 * frames + 255) == frames


def test_silence_is_at_the_floor_and_has_finite_gradients():
    wav = torch.zeros(1, 4096, requires_grad=True)
    feats, _ = HifiganMel.Config().build()(wav, torch.tensor([4096]))
    feats.sum().backward()
    assert wav.grad.isfinite().all()
    feats = ours(WhisperMel.Config(), torch.zeros(4096))
    torch.testing.assert_close(feats, torch.full_like(feats, (-10 + 4) / 4))
