"""What every discriminator is: waveforms in; out come scores, and the feature maps that led to them."""

from __future__ import annotations

from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig

Judgement = tuple[Tensor, list[Tensor]]
"""Scores (B, ...), and the feature maps (B, ...) of the layers before them, the first layer's first."""


class Discriminator(nn.Module, Component, kind="discriminator"):
    """Tells recordings from what a generator made.

    It may be made of several networks that look at the waveform in different ways; each gives one :data:`Judgement`. High
    scores are for recordings. No network mixes the utterances of a batch.

    Args:
        config: The options.
    """

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, wav: Tensor) -> list[Judgement]:
        """Judge segments of equal length without padding.

        Args:
            wav: (B, L) samples in [-1, 1].

        Returns:
            The judgement of each network.
        """
        raise NotImplementedError
