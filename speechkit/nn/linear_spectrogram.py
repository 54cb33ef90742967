"""Linear spectrograms of padded waveforms, frame by frame beside the mel spectrogram."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.features.framing import Framing
from speechkit.features.spectrum import constant, periodic_hann


class LinearSpectrogram(nn.Module):
    """``sqrt(|spectrum|^2 + 1e-6)``: what the posterior encoder of VITS hears (Kim et al., 2021).

    Frame t is centred on sample ``(t + 1/2) * hop_length``, as in the mel spectrogram of HiFi-GAN; the ends of each
    utterance are mirrored, whatever it is padded with. Always in single precision or better.

    Args:
        n_fft: FFT length, samples.
        hop_length: Samples from one frame to the next, at most ``n_fft``.
        win_length: Length of the Hann window, samples; at most ``n_fft``, in the middle of which it lies.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int, win_length: int) -> None:
        super().__init__()
        if not 1 <= win_length <= n_fft:
            raise ValueError(f"win_length: expected 1 to n_fft {n_fft} samples, got {win_length}; make n_fft as long")
        if hop_length > n_fft:
            raise ValueError(f"n_fft: expected at least hop_length {hop_length} samples, got {n_fft}; make it longer")
        self.framing = Framing(n_fft, hop_length, left=(n_fft - hop_length) // 2)
        self.register_buffer("window", constant(periodic_hann(win_length, n_fft)), persistent=False)

    @property
    def out_dim(self) -> int:
        """Frequencies, ``n_fft // 2 + 1``."""
        return self.framing.window_length // 2 + 1

    def forward(self, wav: Tensor, lens: Tensor, num_frames: int) -> Tensor:
        """Transform.

        Args:
            wav: (B, L) samples, ``L >= num_frames * hop_length``.
            lens: (B,) int64 frames of each utterance, at least 1; samples behind ``hop_length`` times that are not heard.
            num_frames: T.

        Returns:
            (B, T, n_fft // 2 + 1); padding holds unspecified finite values.
        """
        hop = self.framing.hop_length
        least = num_frames * hop
        if wav.shape[1] < least:
            raise ValueError(f"wav: expected {least} samples for {num_frames} frames, got {wav.shape[1]}; pad it with zeros")
        # FFTs are no good in half precision, whatever the model around runs in.
        with torch.autocast(wav.device.type, enabled=False):
            wav = wav.to(torch.promote_types(wav.dtype, torch.float32))
            signal = self.framing.extend_batch(wav[:, :least], lens * hop)
            frames = signal.unfold(1, self.framing.window_length, hop) * self.window.to(wav.dtype)
            return (torch.view_as_real(torch.fft.rfft(frames)).square().sum(-1) + 1e-6).sqrt()
