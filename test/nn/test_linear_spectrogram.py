from __future__ import annotations

import pytest
import torch

from speechkit.features.mel import HifiganMel
from speechkit.nn.linear_spectrogram import LinearSpectrogram


def test_it_is_the_spectrogram_of_torch_with_mirrored_ends():
    wav = torch.randn(2, 7 * 4, dtype=torch.float64)
    padded = torch.nn.functional.pad(wav, (6, 6), mode="reflect")
    window = torch.hann_window(12, dtype=torch.float64)
    expected = torch.stft(padded, 16, 4, 12, window, center=False, return_complex=True).abs()
    found = LinearSpectrogram(16, 4, 12)(wav, torch.tensor([7, 7]), 7)
    torch.testing.assert_close(found, (expected.mT.square() + 1e-6).sqrt())


def test_its_frames_are_those_of_the_mel_spectrogram():
    sizes = {"n_fft": 64, "hop_length": 16, "win_length": 48, "num_mel_bins": 5}
    mel = HifiganMel(HifiganMel.Config(sampling_rate=8000, high_freq=0, **sizes))
    wav, lens = torch.randn(1, 16 * 9), torch.tensor([9])
    spectrum = LinearSpectrogram(64, 16, 48)(wav, lens, 9)
    expected, expected_lens = mel(wav, 16 * lens)
    assert torch.equal(expected_lens, lens)
    filters = torch.as_tensor(mel.config.filters(), dtype=torch.float32)
    torch.testing.assert_close((spectrum @ filters).clamp(min=1e-5).log(), expected, atol=1e-3, rtol=0)


def test_padding_is_not_heard():
    spectrum = LinearSpectrogram(16, 4, 12)
    wav = torch.randn(2, 40)
    batch = spectrum(wav, torch.tensor([10, 6]), 10)
    wav[1, 24:] = 5.0
    assert torch.equal(spectrum(wav, torch.tensor([10, 6]), 10)[1, :6], batch[1, :6])
    torch.testing.assert_close(spectrum(wav[1:, :24], torch.tensor([6]), 6)[0], batch[1, :6])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="win_length: expected 1 to n_fft 16"):
        LinearSpectrogram(16, 4, 17)
    with pytest.raises(ValueError, match="n_fft: expected at least hop_length 17"):
        LinearSpectrogram(16, 17, 16)
    with pytest.raises(ValueError, match="wav: expected 20 samples for 5 frames"):
        LinearSpectrogram(16, 4, 16)(torch.zeros(1, 19), torch.tensor([5]), 5)
