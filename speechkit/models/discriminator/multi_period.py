"""The multi-period discriminator of HiFi-GAN."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.models.discriminator.base import Discriminator, Judgement
from speechkit.models.discriminator.layers import ScoringStack
from speechkit.nn.padding import reflect_pad
from speechkit.nn.weight_norm import add_weight_norm


class MultiPeriod(Discriminator, name="multi_period"):
    """For each period p a network that sees only every p-th sample at a time: the waveform as a table of p columns, which
    filters run down (Kong et al., 2020, HiFi-GAN, arXiv:2010.05646, section 2.3).

    Voiced speech repeats itself; primes as periods look at different samples.
    """

    class Config(ComponentConfig):
        """Options of the multi-period discriminator."""

        periods: tuple[Annotated[int, Field(ge=1)], ...] = Field((2, 3, 5, 7, 11), min_length=1)
        """Samples from one row of the table to the next; one network each."""
        dim: int = Field(1024, ge=32, multiple_of=32)
        """Channels of the last two of five layers; the first three have a 32nd, an 8th and half as many."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.networks = nn.ModuleList(PeriodNetwork(period, config.dim) for period in config.periods)
        add_weight_norm(self)

    def forward(self, wav: Tensor) -> list[Judgement]:
        """Scores (B, p, rows / 81) of each period; see :meth:`Discriminator.forward`."""
        return [network(wav) for network in self.networks]


class PeriodNetwork(nn.Module):
    """Convolutions down the columns of the table of one period.

    Args:
        period: Columns p.
        dim: Channels of the last layers.
    """

    def __init__(self, period: int, dim: int) -> None:
        super().__init__()
        self.period = period
        widths = [1, dim // 32, dim // 8, dim // 2, dim]
        convs = [nn.Conv1d(before, after, 5, stride=3, padding=2) for before, after in pairwise(widths)]
        convs.append(nn.Conv1d(dim, dim, 5, padding=2))
        self.stack = ScoringStack(convs, nn.Conv1d(dim, 1, 3, padding=1), slope=0.1)

    def columns(self, wav: Tensor) -> Tensor:
        """The table of ``wav`` (B, L), column by column, (B, p, ceil(L / p)); its last row is filled with mirrored samples."""
        wav = reflect_pad(wav, 0, -wav.shape[1] % self.period)
        return wav.unflatten(1, (-1, self.period)).transpose(1, 2)

    def forward(self, wav: Tensor) -> Judgement:
        """The judgement of ``wav`` (B, L): scores (B, p, ...), feature maps (B, p, D, ...)."""
        columns = self.columns(wav)
        # A column is an utterance of its own: with time innermost, convolutions are faster than those over two axes.
        scores, maps = self.stack(columns.flatten(0, 1).unsqueeze(1))
        shape = columns.shape[:2]
        return scores.unflatten(0, shape), [each.unflatten(0, shape) for each in maps]
