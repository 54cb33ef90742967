"""A vocoder at the rate of the frames, whose last step is an inverse Fourier transform."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.features.spectrum import constant, periodic_hann
from speechkit.models.vocoder.base import VocoderInput, WaveGenerator
from speechkit.nn.convolution import DepthwiseConv
from speechkit.nn.linear import Linear
from speechkit.nn.stft import overlap_add

LOUDEST = math.log(100.0)  # of a bin, so that no step of training lets the exponential explode


class IstftVocoder(WaveGenerator, name="istft"):
    """ConvNeXt blocks over frames give log-magnitudes m and phases p of a spectrum, ``exp(m) (cos p + i sin p)``, which an
    inverse short-time Fourier transform makes samples of (Siuzdak, 2024, Vocos, arXiv:2306.00814, section 3).

    No layer runs at a higher rate than the frames', so that it speaks many times faster than networks that upsample. The
    defaults are those of the paper's 24 kHz model for ``hop_length`` 256.

    Differs from the paper: nothing, for that hop length; for others the FFT is as many times longer as the config says.
    """

    class Config(ComponentConfig):
        """Options of the vocoder with an inverse Fourier transform."""

        dim: int = Field(512, ge=1)
        """Model dimension D."""
        ff_dim: int = Field(1536, ge=1)
        """Inner dimension of the blocks."""
        num_layers: int = Field(8, ge=1)
        """ConvNeXt blocks."""
        kernel_size: int = Field(7, ge=1)
        """Taps of the convolutions in frames, odd."""
        overlap: int = Field(4, ge=2)
        """Frames that each sample is a sum of: the FFT is `overlap * hop_length` samples long."""

    def __init__(self, config: Config, given: VocoderInput) -> None:
        super().__init__(config, given)
        if config.kernel_size % 2 == 0:
            raise ValueError(f"istft.kernel_size: expected an odd number, got {config.kernel_size}; one more or less")
        self.conv_in = nn.Conv1d(given.feat_dim, config.dim, config.kernel_size, padding=config.kernel_size // 2)
        self.norm_in = nn.LayerNorm(config.dim, eps=1e-6)
        self.blocks = nn.ModuleList(ConvNextBlock(config) for _ in range(config.num_layers))
        self.norm_out = nn.LayerNorm(config.dim, eps=1e-6)
        self.synthesis = InverseStft(config.overlap * given.hop_length, given.hop_length)
        self.head = Linear(config.dim, 2 * self.synthesis.num_bins)
        self.apply(_start)

    def forward(self, feats: Tensor, noise: Tensor | None = None) -> Tensor:
        """Samples (B, T * hop_length) of segments (B, T, F); see :meth:`WaveGenerator.forward`."""
        x = self.norm_in(self.conv_in(feats.transpose(1, 2)).transpose(1, 2))  # (B, T, D)
        for block in self.blocks:
            x = block(x)
        log_magnitude, phase = self.head(self.norm_out(x)).chunk(2, dim=-1)  # (B, T, n_fft / 2 + 1) each
        return self.synthesis(log_magnitude, phase)


class ConvNextBlock(nn.Module):
    """``x + g (W gelu(V norm(depthwise(x))))`` (Liu et al., 2022, ConvNeXt, arXiv:2201.03545), over time; the gains g
    begin at 1 / num_layers."""

    def __init__(self, config: IstftVocoder.Config) -> None:
        super().__init__()
        self.depthwise = DepthwiseConv(config.dim, config.kernel_size)
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.expand = Linear(config.dim, config.ff_dim)
        self.contract = Linear(config.ff_dim, config.dim)
        self.gain = nn.Parameter(torch.full((config.dim,), 1 / config.num_layers))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, T, D) to (B, T, D)."""
        y = self.contract(F.gelu(self.expand(self.norm(self.depthwise(x)))))
        return torch.addcmul(x, self.gain, y)


class InverseStft(nn.Module):
    """Spectra to exactly ``hop_length`` samples each: frame t is centred on sample ``(t + 1/2) * hop_length``.

    Windowed frames are added and divided by the sum of their squared windows, which inverts a transform with the same
    window; what overhangs the utterance is cut off.

    Args:
        n_fft: FFT and (Hann) window length, a multiple of ``hop_length``.
        hop_length: Samples from one frame to the next.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length, self.num_bins = n_fft, hop_length, n_fft // 2 + 1
        self.register_buffer("window", constant(periodic_hann(n_fft, n_fft)), persistent=False)

    def forward(self, log_magnitude: Tensor, phase: Tensor) -> Tensor:
        """Samples (B, T * hop_length) of log-magnitudes and phases (radians), (B, T, n_fft // 2 + 1) each."""
        # FFTs are no good in half precision, whatever the model around runs in.
        with torch.autocast(phase.device.type, enabled=False):
            dtype = torch.promote_types(phase.dtype, torch.float32)
            magnitude = log_magnitude.to(dtype).clamp(max=LOUDEST).exp()
            window = self.window.to(dtype)
            frames = torch.fft.irfft(torch.polar(magnitude, phase.to(dtype)), n=self.n_fft) * window
            weights = overlap_add(window.square().expand(1, phase.shape[1], -1), self.hop_length)
            wav = self._cut(overlap_add(frames, self.hop_length), phase.shape[1])
            return wav / self._cut(weights, phase.shape[1])

    def _cut(self, wav: Tensor, num_frames: int) -> Tensor:
        before = (self.n_fft - self.hop_length) // 2
        return wav[:, before : before + num_frames * self.hop_length]


def _start(module: nn.Module) -> None:
    """Small weights and no bias, as ConvNeXt begins."""
    if isinstance(module, DepthwiseConv | nn.Conv1d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
