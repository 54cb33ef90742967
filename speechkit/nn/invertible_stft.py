"""The short-time Fourier transform and its least-squares inverse, of signals that end where their frames end."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.features.spectrum import constant, periodic_hann
from speechkit.nn.stft import overlap_add


class InvertibleStft(nn.Module):
    """Frame t covers the samples ``t * hop_length`` up to ``t * hop_length + n_fft``, under a periodic Hann window.

    A signal of T frames has ``n = (T - 1) * hop_length + n_fft`` samples: nothing is mirrored here. So the spectra that
    are those of a signal form a linear space, onto which ``stft(stft.inverse(spectrum))`` projects.

    Args:
        n_fft: FFT length, samples.
        hop_length: Samples from one frame to the next.
        win_length: Window length, samples, in the middle of ``n_fft``; more than ``hop_length``.

    Raises:
        ValueError: The windows leave samples out.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int, win_length: int) -> None:
        super().__init__()
        if not hop_length < win_length <= n_fft:
            raise ValueError(
                f"stft: expected hop_length < win_length <= n_fft, got {hop_length}, {win_length} and {n_fft} samples; "
                "with a hop as long as the window there are samples that no frame sees"
            )
        self.n_fft, self.hop_length = n_fft, hop_length
        self.register_buffer("window", constant(periodic_hann(win_length, n_fft)), persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        """The spectra (..., T, n_fft // 2 + 1), complex, of signals (..., n)."""
        return torch.fft.rfft(signal.unfold(-1, self.n_fft, self.hop_length) * self.window)

    def inverse(self, spectrum: Tensor) -> Tensor:
        """The signals (..., n) whose spectra are nearest to ``spectrum`` (..., T, n_fft // 2 + 1), bins 0 to n_fft of the
        full spectrum counted alike (Griffin and Lim 1984, equation 6); 0 at the outermost samples, which no window sees."""
        frames = torch.fft.irfft(spectrum, self.n_fft) * self.window
        weights = overlap_add(self.window.square().expand(spectrum.shape[-2], -1), self.hop_length)
        return overlap_add(frames, self.hop_length) / weights.masked_fill(weights < 1e-8, torch.inf)
