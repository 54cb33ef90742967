"""The discriminator of Parallel WaveGAN."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.models.discriminator.base import Discriminator, Judgement
from speechkit.models.discriminator.layers import ScoringStack
from speechkit.nn.weight_norm import add_weight_norm


class ParallelWaveGanDiscriminator(Discriminator, name="parallel_wavegan"):
    """Ten convolutions at the full rate, most of them dilated linearly, 1 to 8, give each sample a score (Yamamoto et al.,
    2020, Parallel WaveGAN, arXiv:1910.11480, section 4.1)."""

    class Config(ComponentConfig):
        """Options of the discriminator of Parallel WaveGAN."""

        dim: int = Field(64, ge=1)
        """Channels of each layer."""
        num_layers: int = Field(10, ge=2)
        """Convolutions of three taps: the first and the last are not dilated, that in place i between them i-fold."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        convs = [nn.Conv1d(1, config.dim, 3, padding=1)]
        convs += [
            nn.Conv1d(config.dim, config.dim, 3, padding=dilation, dilation=dilation)
            for dilation in range(1, config.num_layers - 1)
        ]
        self.stack = ScoringStack(convs, nn.Conv1d(config.dim, 1, 3, padding=1), slope=0.2)
        add_weight_norm(self)

    def forward(self, wav: Tensor) -> list[Judgement]:
        """One judgement, with scores (B, L); see :meth:`Discriminator.forward`."""
        return [self.stack(wav.unsqueeze(1))]
