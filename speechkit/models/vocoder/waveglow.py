"""WaveGlow: an invertible network between waveforms and noise."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.models.vocoder.base import FlowVocoder, VocoderInput
from speechkit.nn.affine_coupling import AffineCoupling
from speechkit.nn.flow import FlowSequence, no_log_det
from speechkit.nn.invertible_conv import InvertibleConv


class WaveGlow(FlowVocoder, name="waveglow"):
    """Groups of samples go through invertible 1x1 convolutions and affine couplings, whose WaveNet stacks hear the features
    (Prenger et al., 2019, arXiv:1811.00002); every few steps some channels leave as they are.

    A sample costs the same in both directions, and no sample waits for another.

    Differs from the paper: the upsampling of the features is centred on the frames, not shifted.
    """

    class Config(ComponentConfig):
        """Options of WaveGlow."""

        num_flows: int = Field(12, ge=1)
        """Steps, of a 1x1 convolution and a coupling each."""
        group_size: int = Field(8, ge=2)
        """Samples side by side, the channels of the flow; a divisor of the hop length."""
        early_every: int = Field(4, ge=1)
        """Steps after which channels leave."""
        early_size: int = Field(2, ge=1)
        """How many leave each time."""
        dim: int = Field(256, ge=1)
        """Channels of the couplings' stacks."""
        num_layers: int = Field(8, ge=1)
        """Layers of each stack, with dilations 1, 2, 4 ... groups."""
        kernel_size: int = Field(3, ge=1)
        """Taps of each layer, odd."""
        temperature: float = Field(0.6, ge=0)
        """Standard deviation of the noise that speech is made of; training takes that of its objective."""

        @model_validator(mode="after")
        def _channels_are_left(self) -> Self:
            if self.group_size - self.early_size * ((self.num_flows - 1) // self.early_every) < 2:
                raise ValueError(
                    f"early_size: expected to leave 2 of {self.group_size} channels or more after {self.num_flows} flows, got "
                    f"{self.early_size} every {self.early_every}; use a larger group_size"
                )
            if self.kernel_size % 2 == 0:
                raise ValueError(f"kernel_size: expected an odd number, got {self.kernel_size}; try {self.kernel_size + 1}")
            return self

        def widths(self) -> list[int]:
            """The channels that each stage has; after each stage but the last, ``early_size`` leave."""
            stages = 1 + (self.num_flows - 1) // self.early_every
            return [self.group_size - i * self.early_size for i in range(stages)]

    def __init__(self, config: Config, given: VocoderInput) -> None:
        super().__init__(config, given)
        hop = given.hop_length
        if hop % config.group_size:
            raise ValueError(f"group_size: expected a divisor of the hop length {hop}, got {config.group_size}")
        # Four frames are heard at each sample.
        self.upsampling = nn.ConvTranspose1d(given.feat_dim, given.feat_dim, 4 * hop, hop, padding=3 * hop // 2)
        left = [config.early_every] * (len(config.widths()) - 1)
        depths = [*left, config.num_flows - sum(left)]
        self.stages = nn.ModuleList(
            FlowSequence(itertools.chain.from_iterable(self._step(width) for _ in range(depth)))
            for width, depth in zip(config.widths(), depths, strict=True)
        )

    def _step(self, width: int) -> tuple[InvertibleConv, AffineCoupling]:
        config, cond_dim = self.config, self.given.feat_dim * self.config.group_size
        dilations = [2**i for i in range(config.num_layers)]
        return InvertibleConv(width), AffineCoupling(width, config.dim, dilations, config.kernel_size, cond_dim)

    def forward(self, feats: Tensor, wav: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Noise, in parts (B, T * hop_length / group_size, channels), and log-determinants; see :class:`FlowVocoder`."""
        x, cond = wav.unflatten(1, (-1, self.config.group_size)), self._condition(feats)
        noise, total = [], no_log_det(x)
        for i, stage in enumerate(self.stages):
            if i > 0:
                early, x = x.tensor_split([self.config.early_size], dim=-1)
                noise.append(early)
            x, log_det = stage(x, cond=cond)
            total = total + log_det
        return [*noise, x], total

    def inverse(self, feats: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """The waveform (B, T * hop_length); see :meth:`FlowVocoder.inverse`."""
        cond = self._condition(feats)
        *early, x = noise
        for stage in reversed(self.stages):
            x = stage.inverse(x, cond=cond)
            x = torch.cat([early.pop(), x], dim=-1) if early else x
        return x.flatten(1)

    def draw_noise(self, feats: Tensor, generator: torch.Generator | None = None) -> list[Tensor]:
        """Parts of noise for ``feats`` (B, T, F), with a standard deviation of ``temperature``."""
        config = self.config
        widths = [config.early_size] * (len(config.widths()) - 1) + config.widths()[-1:]
        groups = feats.shape[1] * self.given.hop_length // config.group_size
        device = feats.device if generator is None else generator.device
        shapes = [(len(feats), groups, width) for width in widths]
        draws = [torch.randn(shape, generator=generator, dtype=feats.dtype, device=device) for shape in shapes]
        return [config.temperature * draw.to(feats.device) for draw in draws]

    def speak(self, feats: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Samples of one utterance; see :meth:`Vocoder.speak`."""
        if len(feats) == 0:
            return feats.new_zeros(0)
        feats = feats.unsqueeze(0)
        return self.inverse(feats, self.draw_noise(feats, generator)).squeeze(0)

    def _condition(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) at the sampling rate, those of a group side by side: (B, T * hop_length / G, F * G)."""
        num_samples = feats.shape[1] * self.given.hop_length
        cond = self.upsampling(feats.transpose(1, 2))[..., :num_samples].transpose(1, 2)  # (B, L, F)
        return cond.reshape(len(feats), num_samples // self.config.group_size, -1)
