from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from speechkit.features import spectrum

# librosa.mel_frequencies(n_mels=40), as its documentation prints it: Slaney's scale from 0 to 11025 Hz.
LIBROSA_MEL_FREQUENCIES = [
    0.0, 85.317, 170.635, 255.952, 341.269, 426.586, 511.904, 597.221, 682.538, 767.855,
    853.173, 938.49, 1024.856, 1119.114, 1222.042, 1334.436, 1457.167, 1591.187, 1737.532, 1897.337,
    2071.84, 2262.393, 2470.47, 2697.686, 2945.799, 3216.731, 3512.582, 3835.643, 4188.417, 4573.636,
    4994.285, 5453.621, 5955.205, 6502.92, 7101.009, 7754.107, 8467.272, 9246.028, 10096.408, 11025.0,
]  # fmt: skip


def test_slaney_mel_frequencies_are_librosas():
    mel = np.linspace(spectrum.slaney_mel(0.0), spectrum.slaney_mel(11025.0), 40)
    np.testing.assert_allclose(spectrum.slaney_hertz(mel), LIBROSA_MEL_FREQUENCIES, atol=6e-4)


def test_slaney_scale_and_its_inverse_cancel():
    frequency = np.linspace(0, 12000, 101)
    np.testing.assert_allclose(spectrum.slaney_hertz(spectrum.slaney_mel(frequency)), frequency, atol=1e-8)


def test_1000_hz_is_1000_mel_on_the_htk_scale():
    assert spectrum.htk_mel(1000.0) == pytest.approx(1000.0, abs=0.02)
    assert spectrum.htk_mel(0.0) == 0


def test_slaney_filters_have_area_one():
    filters = spectrum.slaney_filters(16000, 1 << 16, 8, 0.0, 8000.0)  # so fine that the sum is the integral
    np.testing.assert_allclose(filters.sum(0) * 16000 / (1 << 16), 1.0, atol=1e-4)


def test_kaldi_filters_sum_to_one_between_the_outermost_peaks():
    filters = spectrum.kaldi_filters(16000, 512, 23, 20.0, 7600.0)
    mel = spectrum.htk_mel(np.arange(257) * 16000 / 512)
    feet = np.linspace(spectrum.htk_mel(20.0), spectrum.htk_mel(7600.0), 25)
    inside = (mel >= feet[1]) & (mel <= feet[-2])
    np.testing.assert_allclose(filters.sum(1)[inside], 1.0)
    assert (filters[mel <= feet[0]] == 0).all() and (filters[mel >= feet[-1]] == 0).all()


def test_filters_between_fft_bins_are_found():
    assert spectrum.empty_filters(spectrum.kaldi_filters(16000, 512, 80, 20.0, 7600.0)) == []
    assert 1 in spectrum.empty_filters(spectrum.kaldi_filters(16000, 512, 128, 20.0, 7600.0))


def test_the_dct_is_orthonormal_and_finds_a_cosine():
    matrix = spectrum.dct(7, 7)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(7), atol=1e-12)
    wave = np.cos(np.pi / 7 * (np.arange(7) + 0.5) * 3)
    np.testing.assert_allclose(wave @ matrix, np.eye(7)[3] * math.sqrt(7 / 2), atol=1e-12)


def test_the_periodic_window_is_torchs_centred():
    window = spectrum.periodic_hann(10, 13)
    np.testing.assert_allclose(window, np.r_[0, torch.hann_window(10).numpy(), 0, 0], atol=1e-6)


def test_the_kaldi_windows_are_symmetric_and_peak_at_one():
    for kind, edge in (("povey", 0.0), ("hanning", 0.0), ("hamming", 0.08)):
        window = spectrum.kaldi_window(kind, 25)
        np.testing.assert_allclose(window, window[::-1])
        assert window[12] == pytest.approx(1.0) and window[0] == pytest.approx(edge)


def test_a_sine_has_its_energy_in_its_bin():
    frames = torch.cos(2 * math.pi * 5 / 32 * torch.arange(32.0)).expand(2, 3, 32)
    mel = spectrum.MelSpectrum(np.eye(17))(frames)
    expected = torch.zeros(2, 3, 17)
    expected[..., 5] = 16.0**2  # |sum cos^2|^2 = (32 / 2)^2
    torch.testing.assert_close(mel, expected, atol=1e-4, rtol=1e-5)


def test_bins_that_no_filter_uses_are_left_out_without_a_difference():
    filters = np.zeros((17, 2))
    filters[3:6, 0] = [0.5, 1, 0.5]
    filters[8, 1] = 2
    module = spectrum.MelSpectrum(filters)
    assert module.bins == slice(3, 9) and module.weight.shape == (6, 2)
    frames = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    expected = torch.fft.rfft(frames).abs().square() @ torch.tensor(filters, dtype=torch.float32)
    torch.testing.assert_close(module(frames), expected, atol=1e-4, rtol=1e-5)
