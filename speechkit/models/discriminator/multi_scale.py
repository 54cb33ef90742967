"""The multi-scale discriminators of MelGAN and HiFi-GAN."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from speechkit.config import ComponentConfig
from speechkit.models.discriminator.base import Discriminator, Judgement
from speechkit.models.discriminator.layers import ScoringStack
from speechkit.nn.weight_norm import add_weight_norm


class MultiScale(Discriminator, name="multi_scale"):
    """Networks of equal shape for the waveform, the waveform at half its rate, at a quarter ...: each is made of the one
    before by averages of four samples (Kumar et al., 2019, MelGAN, arXiv:1910.06711, section 2.3; Kong et al., 2020,
    HiFi-GAN, arXiv:2010.05646, section 2.3).

    HiFi-GAN's has more layers than MelGAN's, and spectral instead of weight normalisation in its first network.
    """

    class Config(ComponentConfig):
        """Options of the multi-scale discriminator."""

        style: Literal["hifigan", "melgan"] = "hifigan"
        """Whose networks: hifigan or melgan."""
        num_scales: int = Field(3, ge=1)
        """Networks; each hears half the sampling rate of that before it."""
        dim: int = Field(1024, ge=256, multiple_of=256)
        """Channels of the last layers; the first have an 8th (hifigan) or a 64th (melgan) as many."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config.style == "hifigan":
            make, pool = hifigan_scale, nn.AvgPool1d(4, 2, padding=2)
        else:
            make, pool = melgan_scale, nn.AvgPool1d(4, 2, padding=1, count_include_pad=False)
        self.networks = nn.ModuleList(make(config.dim) for _ in range(config.num_scales))
        self.pool = pool
        if config.style == "hifigan":
            for conv in [*self.networks[0].convs, self.networks[0].score]:
                spectral_norm(conv)
        add_weight_norm(self)

    def forward(self, wav: Tensor) -> list[Judgement]:
        """The judgement at each scale, the full rate first; see :meth:`Discriminator.forward`."""
        x, judgements = wav.unsqueeze(1), []
        for index, network in enumerate(self.networks):
            x = self.pool(x) if index else x
            judgements.append(network(x))
        return judgements


def hifigan_scale(dim: int) -> ScoringStack:
    """Seven grouped convolutions, together 64 samples apart (HiFi-GAN)."""
    widths = [dim // 8, dim // 8, dim // 4, dim // 2, dim, dim]
    strides, groups = [2, 2, 4, 4, 1], [4, 16, 16, 16, 16]
    convs = [nn.Conv1d(1, widths[0], 15, padding=7)]
    convs += [
        nn.Conv1d(before, after, 41, stride, padding=20, groups=group)
        for (before, after), stride, group in zip(pairwise(widths), strides, groups, strict=True)
    ]
    convs.append(nn.Conv1d(dim, dim, 5, padding=2))
    return ScoringStack(convs, nn.Conv1d(dim, 1, 3, padding=1), slope=0.1)


def melgan_scale(dim: int) -> ScoringStack:
    """Four convolutions in groups of four channels, 256 samples apart, between two dense ones (MelGAN, appendix A)."""
    widths = [dim // 64, dim // 16, dim // 4, dim, dim]
    convs = [nn.Conv1d(1, widths[0], 15, padding=7, padding_mode="reflect")]
    convs += [nn.Conv1d(before, after, 41, 4, padding=20, groups=before // 4) for before, after in pairwise(widths)]
    convs.append(nn.Conv1d(dim, dim, 5, padding=2))
    return ScoringStack(convs, nn.Conv1d(dim, 1, 3, padding=1), slope=0.2)
