"""Windows, power spectra and mel filters, computed in double precision from closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn


def kaldi_window(kind: str, length: int) -> np.ndarray:
    """Kaldi's symmetric windows ``povey`` (Hann to the power 0.85), ``hanning`` and ``hamming``: (length,)."""
    cosine = np.cos(2 * math.pi * np.arange(length) / (length - 1))
    if kind == "hamming":
        return 0.54 - 0.46 * cosine
    hann = 0.5 - 0.5 * cosine
    return hann**0.85 if kind == "povey" else hann


def periodic_hann(length: int, n_fft: int) -> np.ndarray:
    """The periodic Hann window, centred in ``n_fft`` samples as torch.stft centres it: (n_fft,)."""
    window = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(length) / length)
    before = (n_fft - length) // 2
    return np.pad(window, (before, n_fft - length - before))


def htk_mel(frequency):
    """Hz to mel as HTK and Kaldi do: ``1127 ln(1 + f / 700)``."""
    return 1127.0 * np.log1p(np.asarray(frequency) / 700.0)


def slaney_mel(frequency):
    """Hz to mel as Slaney's Auditory Toolbox does: linear to 1 kHz (3 mel per 200 Hz), then 27 mel per factor 6.4."""
    frequency = np.asarray(frequency, dtype=np.float64)
    linear = frequency * 3 / 200
    return np.where(frequency < 1000, linear, 15 + np.log(np.maximum(frequency, 1000) / 1000) * 27 / math.log(6.4))


def slaney_hertz(mel):
    """Inverse of :func:`slaney_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((np.maximum(mel, 15) - 15) * math.log(6.4) / 27))


def kaldi_filters(sampling_rate: int, n_fft: int, num_mel_bins: int, low_freq: float, high_freq: float) -> np.ndarray:
    """Kaldi's filters: triangles over the mel axis, of height 1.

    Args:
        sampling_rate: Hz.
        n_fft: FFT length, even.
        num_mel_bins: F.
        low_freq, high_freq: Hz, the feet of the outermost triangles.

    Returns:
        (n_fft // 2 + 1, F).
    """
    bins = htk_mel(np.arange(n_fft // 2 + 1) * sampling_rate / n_fft)
    feet = np.linspace(htk_mel(low_freq), htk_mel(high_freq), num_mel_bins + 2)
    return _triangles(bins, feet)


def slaney_filters(sampling_rate: int, n_fft: int, num_mel_bins: int, low_freq: float, high_freq: float) -> np.ndarray:
    """Slaney's filters, as Whisper and HiFi-GAN use them: triangles over the frequency axis, each of area 1 Hz.

    Arguments and shape are those of :func:`kaldi_filters`.
    """
    feet = slaney_hertz(np.linspace(slaney_mel(low_freq), slaney_mel(high_freq), num_mel_bins + 2))
    bins = np.arange(n_fft // 2 + 1) * sampling_rate / n_fft
    return _triangles(bins, feet) * 2.0 / (feet[2:] - feet[:-2])


def _triangles(bins: np.ndarray, feet: np.ndarray) -> np.ndarray:
    """Triangle f rises from ``feet[f]`` to 1 at ``feet[f + 1]``, falls to ``feet[f + 2]``: (bins, len(feet) - 2)."""
    widths = np.diff(feet)
    rising = (bins[:, None] - feet[:-2]) / widths[:-1]
    falling = (feet[2:] - bins[:, None]) / widths[1:]
    return np.maximum(0.0, np.minimum(rising, falling))


def empty_filters(filters: np.ndarray) -> list[int]:
    """The filters (bins, F) that no FFT bin falls into: their output would be the floor, whatever the sound."""
    return np.flatnonzero(filters.max(axis=0) == 0).tolist()


def dct(num_mel_bins: int, num_ceps: int) -> np.ndarray:
    """Orthonormal DCT-II, (num_mel_bins, num_ceps): ``x @ dct`` are the first coefficients of ``x``."""
    angles = np.pi / num_mel_bins * np.outer(np.arange(num_mel_bins) + 0.5, np.arange(num_ceps))
    matrix = math.sqrt(2 / num_mel_bins) * np.cos(angles)
    matrix[:, 0] = math.sqrt(1 / num_mel_bins)
    return matrix


class MelSpectrum(nn.Module):
    """Windowed frames to mel energies. Only the FFT bins under the filters are squared and summed.

    Args:
        filters: (n_fft // 2 + 1, F).
        amplitude: What the filters weigh: made from the power spectrum, or the power itself if None.
    """

    weight: Tensor

    def __init__(self, filters: np.ndarray, amplitude: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        used = np.flatnonzero(filters.any(axis=1))
        self.bins = slice(int(used[0]), int(used[-1]) + 1)
        self.amplitude = amplitude
        self.register_buffer("weight", constant(filters[self.bins]), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(..., T, n_fft) to (..., T, F)."""
        spectrum = torch.view_as_real(torch.fft.rfft(frames)[..., self.bins])
        squares = spectrum.square()  # (..., T, bins, 2); twice as fast as abs(), which takes a careful square root
        power = squares[..., 0] + squares[..., 1]
        return (power if self.amplitude is None else self.amplitude(power)) @ self.weight


def constant(values: np.ndarray) -> Tensor:
    """A float32 tensor of ``values``."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
