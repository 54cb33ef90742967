"""What discriminators are made of: a stack of convolutions whose outputs are all kept."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.models.discriminator.base import Judgement


class ScoringStack(nn.Module):
    """Convolutions with leaky ReLUs behind them, and a last one that scores.

    Args:
        convs: From the input to the feature maps, one after the other.
        score: From the last feature map to scores, one channel.
        slope: Of the leaky ReLUs.
    """

    def __init__(self, convs: Iterable[nn.Module], score: nn.Module, slope: float) -> None:
        super().__init__()
        self.convs, self.score, self.slope = nn.ModuleList(convs), score, slope

    def forward(self, x: Tensor) -> Judgement:
        """Scores (B, ...) and feature maps (B, D, ...) of ``x`` (B, C, ...)."""
        maps = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), self.slope)
            maps.append(x)
        return self.score(x).squeeze(1), maps
