"""The generator of Parallel WaveGAN."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.upsampling import UpsamplingGenerator


class ParallelWaveGan(UpsamplingGenerator, name="parallel_wavegan"):
    """A WaveNet that looks both ways and turns Gaussian noise into samples, all at once (Yamamoto et al., 2020, Parallel
    WaveGAN, arXiv:1910.11480, figure 1 and section 4.1).

    Each layer gates a dilated convolution with the upsampled features c, ``z = tanh(a) sigmoid(b)`` with
    ``[a; b] = W_d * x + V c``; ``x`` goes on as ``(x + P z) / sqrt(2)`` and what comes out is made of the sum of all ``Q z``.
    Dilations double from 1 in each of ``num_cycles`` cycles.

    Differs from the paper: the last layer has no P, whose output nobody would read. Features are upsampled as in the
    implementation of T. Hayashi: a convolution of five frames, then per stage repetition and one filter of
    ``2 * rate + 1`` taps for all channels, which begins as a moving average.
    """

    largest_rate = 4

    class Config(UpsamplingGenerator.Config):
        """Options of the generator of Parallel WaveGAN."""

        dim: int = Field(64, ge=1)
        """Channels of the residual path D and of the sum of all layers; the gates have twice as many."""
        num_layers: int = Field(30, ge=1)
        """Layers; a multiple of num_cycles."""
        num_cycles: int = Field(3, ge=1)
        """How often the dilations begin at 1 again."""

    def __init__(self, config: Config, given: VocoderInput) -> None:
        super().__init__(config, given)
        cycle, rest = divmod(config.num_layers, config.num_cycles)
        if rest:
            raise ValueError(
                f"parallel_wavegan.num_layers: expected a multiple of num_cycles {config.num_cycles}, got "
                f"{config.num_layers}; try {config.num_cycles * (cycle + 1)}"
            )
        self.upsample = Upsampling(given.feat_dim, self.rates)
        self.conv_in = nn.Conv1d(1, config.dim, 1)
        self.layers = nn.ModuleList(
            GatedLayer(config.dim, given.feat_dim, 2 ** (i % cycle), last=i + 1 == config.num_layers)
            for i in range(config.num_layers)
        )
        self.conv_mix = nn.Conv1d(config.dim, config.dim, 1)
        self.conv_out = nn.Conv1d(config.dim, 1, 1)
        self.apply(_start)
        self.upsample.start()
        self.finish()

    def draw_noise(self, feats: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Gaussian noise (B, T * hop_length), which the network makes a waveform of."""
        shape = len(feats), feats.shape[1] * self.given.hop_length
        device = feats.device if generator is None else generator.device
        return torch.randn(shape, generator=generator, device=device, dtype=feats.dtype).to(feats.device)

    def forward(self, feats: Tensor, noise: Tensor | None = None) -> Tensor:
        """Samples (B, T * hop_length) of segments (B, T, F); draws the noise itself if it is not given any."""
        if noise is None:
            noise = self.draw_noise(feats)
        features = self.upsample(feats.transpose(1, 2))  # (B, F, T * hop)
        x = self.conv_in(noise.unsqueeze(1))  # (B, D, T * hop)
        total = 0.0
        for layer in self.layers:
            x, skip = layer(x, features)
            total = total + skip
        total = total * math.sqrt(1 / len(self.layers))
        return self.conv_out(self.conv_mix(total.relu()).relu()).squeeze(1)


class GatedLayer(nn.Module):
    """A gated dilated convolution; see :class:`ParallelWaveGan`."""

    def __init__(self, dim: int, feat_dim: int, dilation: int, last: bool) -> None:
        super().__init__()
        self.dim, self.last = dim, last
        self.dilated = nn.Conv1d(dim, 2 * dim, 3, padding=dilation, dilation=dilation)
        self.condition = nn.Conv1d(feat_dim, 2 * dim, 1, bias=False)
        # Q and P in one product: the same numbers in one pass over memory.
        self.out = nn.Conv1d(dim, dim if last else 2 * dim, 1)

    def forward(self, x: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """The next ``x`` (B, D, L) and this layer's part of the sum (B, D, L), given ``features`` (B, F, L)."""
        a, b = (self.dilated(x) + self.condition(features)).chunk(2, dim=1)
        out = self.out(a.tanh() * b.sigmoid())
        if self.last:
            return x, out
        skip, residual = out.chunk(2, dim=1)
        return (x + residual) * math.sqrt(0.5), skip


class Upsampling(nn.Module):
    """Features (B, F, T) to (B, F, T times all rates): neighbouring frames are mixed, then each stage repeats and smooths."""

    def __init__(self, feat_dim: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.rates = rates
        self.conv_in = nn.Conv1d(feat_dim, feat_dim, 5, bias=False)
        self.smooth = nn.ModuleList(nn.Conv1d(1, 1, 2 * rate + 1, padding=rate, bias=False) for rate in rates)

    def start(self) -> None:
        """Begin with moving averages."""
        for conv in self.smooth:
            nn.init.constant_(conv.weight, 1 / conv.weight.numel())

    def forward(self, x: Tensor) -> Tensor:
        """Upsample ``x``; its outermost frames are repeated beyond its ends."""
        x = self.conv_in(F.pad(x, (2, 2), mode="replicate"))
        batch = len(x)
        x = x.flatten(0, 1).unsqueeze(1)  # (B F, 1, T): one filter for all
        for rate, conv in zip(self.rates, self.smooth, strict=True):
            x = conv(x.repeat_interleave(rate, dim=-1))
        return x.squeeze(1).unflatten(0, (batch, -1))


def _start(module: nn.Module) -> None:
    """He et al.'s variance, for the ReLUs, and no bias."""
    if isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
