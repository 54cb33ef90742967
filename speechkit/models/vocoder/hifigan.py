"""The generator of HiFi-GAN."""

from __future__ import annotations

from typing import Annotated, Self

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.upsampling import UpsamplingGenerator
from speechkit.nn.transposed_convolution import TransposedConv

SLOPE = 0.1  # of the leaky ReLUs

Sizes = tuple[Annotated[int, Field(ge=1)], ...]


class HifiGan(UpsamplingGenerator, name="hifigan"):
    """Transposed convolutions, behind each of which residual blocks of several kernel sizes look at the same signal and are
    averaged: multi-receptive field fusion (Kong et al., 2020, HiFi-GAN, arXiv:2010.05646, section 2.2 and appendix A).

    The defaults are V1. V2 has ``dim: 128``. V3 has ``dim: 256, num_stages: 3, kernel_sizes: [3, 5, 7], dilations:
    [[1, 2], [2, 6], [3, 12]], paired: false``.

    Differs from the paper: a transposed convolution may have an odd rate, and rates are chosen for other hop lengths than
    256. Weights start as those of torch's convolutions, as they did for the published models, whose N(0, 0.01) was
    overwritten by the weight normalisation at the first step.
    """

    class Config(UpsamplingGenerator.Config):
        """Options of the generator of HiFi-GAN."""

        dim: int = Field(512, ge=2)
        """Channels before the first stage; each stage has half as many as that before it."""
        kernel_sizes: Sizes = (3, 7, 11)
        """Taps of the residual blocks behind each stage, odd; one block each."""
        dilations: tuple[Sizes, ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
        """For each block, the dilations of its convolutions in samples of the stage."""
        paired: bool = True
        """Whether each dilated convolution has one without dilation behind it (V1, V2; not V3)."""

        @model_validator(mode="after")
        def _fits_together(self) -> Self:
            if not self.kernel_sizes or any(size % 2 == 0 for size in self.kernel_sizes):
                raise ValueError(f"kernel_sizes: expected odd numbers, got {list(self.kernel_sizes)}")
            if len(self.dilations) != len(self.kernel_sizes) or not all(self.dilations):
                raise ValueError(
                    f"dilations: expected a list for each of {len(self.kernel_sizes)} kernel_sizes, got "
                    f"{[list(each) for each in self.dilations]}"
                )
            return self

    def __init__(self, config: Config, given: VocoderInput) -> None:
        super().__init__(config, given)
        if config.dim % 2 ** len(self.rates):
            raise ValueError(
                f"hifigan.dim: expected a multiple of {2 ** len(self.rates)}, which {len(self.rates)} stages can halve, got "
                f"{config.dim}; try {config.dim + -config.dim % 2 ** len(self.rates)}"
            )
        self.conv_in = nn.Conv1d(given.feat_dim, config.dim, 7, padding=3)
        self.stages = nn.ModuleList(Stage(config, config.dim >> i, rate) for i, rate in enumerate(self.rates))
        self.conv_out = nn.Conv1d(config.dim >> len(self.rates), 1, 7, padding=3)
        self.finish()

    def forward(self, feats: Tensor, noise: Tensor | None = None) -> Tensor:
        """Samples (B, T * hop_length) of segments (B, T, F); see :meth:`WaveGenerator.forward`."""
        x = self.conv_in(feats.transpose(1, 2))  # (B, dim, T)
        for stage in self.stages:
            x = stage(x)
        return self.conv_out(F.leaky_relu(x)).tanh().squeeze(1)  # torch's own slope here, 0.01, as the published models


class Stage(nn.Module):
    """Becomes ``rate`` times longer and half as wide, then averages the residual blocks."""

    def __init__(self, config: HifiGan.Config, dim: int, rate: int) -> None:
        super().__init__()
        self.upsample = TransposedConv(dim, dim // 2, rate)
        sizes = zip(config.kernel_sizes, config.dilations, strict=True)
        self.blocks = nn.ModuleList(ResidualBlock(dim // 2, size, dilations, config.paired) for size, dilations in sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, D, T) to (B, D / 2, rate * T)."""
        x = self.upsample(F.leaky_relu(x, SLOPE))
        return sum(block(x) for block in self.blocks) / len(self.blocks)


class ResidualBlock(nn.Module):
    """``x + conv(leaky(conv_d(leaky(x))))`` for each dilation d; without the outer convolution if not ``paired``."""

    def __init__(self, dim: int, kernel_size: int, dilations: tuple[int, ...], paired: bool) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(same_conv(dim, kernel_size, dilation) for dilation in dilations)
        self.plain = nn.ModuleList(same_conv(dim, kernel_size, 1) for _ in dilations) if paired else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, D, T) to (B, D, T)."""
        for i, dilated in enumerate(self.dilated):
            y = dilated(F.leaky_relu(x, SLOPE))
            if self.plain is not None:
                y = self.plain[i](F.leaky_relu(y, SLOPE))
            x = x + y
        return x


def same_conv(dim: int, kernel_size: int, dilation: int) -> nn.Conv1d:
    """A convolution whose output is as long and as wide as its input."""
    return nn.Conv1d(dim, dim, kernel_size, dilation=dilation, padding=dilation * (kernel_size - 1) // 2)
