"""Short-time Fourier transforms of batches of segments, with gradients, always in single precision or better."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.features.spectrum import constant, periodic_hann
from speechkit.nn.padding import reflect_pad


class Stft(nn.Module):
    """``torch.stft`` with a Hann window and mirrored ends: frame t is centred on sample ``t * hop_length``.

    Args:
        n_fft: FFT length, samples.
        hop_length: Samples from one frame to the next.
        win_length: Window length, samples; at most ``n_fft``, in the middle of which it lies.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int, win_length: int) -> None:
        super().__init__()
        if not 1 <= win_length <= n_fft:
            raise ValueError(f"win_length: expected 1 to n_fft {n_fft} samples, got {win_length}; make n_fft as long")
        self.n_fft, self.hop_length = n_fft, hop_length
        self.register_buffer("window", constant(periodic_hann(win_length, n_fft)), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        """The spectra (B, T, n_fft // 2 + 1, 2), real and imaginary parts, of ``wav`` (B, L); ``T = 1 + L // hop_length``."""
        # FFTs are no good in half precision, whatever the model around runs in.
        with torch.autocast(wav.device.type, enabled=False):
            wav = wav.to(torch.promote_types(wav.dtype, torch.float32))
            wav = reflect_pad(wav, self.n_fft // 2, self.n_fft - self.n_fft // 2)
            frames = wav.unfold(-1, self.n_fft, self.hop_length) * self.window.to(wav.dtype)
            return torch.view_as_real(torch.fft.rfft(frames))

    def magnitude(self, wav: Tensor, floor: float) -> Tensor:
        """``sqrt(|spectrum|^2 + floor^2)`` (B, T, n_fft // 2 + 1): not below ``floor``, with finite gradients in silence."""
        spectrum = self(wav)
        return (spectrum.square().sum(-1) + floor**2).sqrt()


def overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """The sums (..., (T - 1) * hop_length + N) of frames (..., T, N) that start ``hop_length`` samples apart."""
    num_frames, length = frames.shape[-2:]
    rows = -(-length // hop_length)  # of one hop each
    # A sum of whole rows per part of the frames is many times faster than adding frame by frame.
    parts = F.pad(frames, (0, rows * hop_length - length)).unflatten(-1, (rows, hop_length))
    shifted = [F.pad(parts[..., row, :], (0, 0, row, rows - 1 - row)) for row in range(rows)]
    return sum(shifted[1:], shifted[0]).flatten(-2)[..., : (num_frames - 1) * hop_length + length]
