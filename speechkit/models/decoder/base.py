"""What every decoder is: encoder output in, scores of tokens out."""

from __future__ import annotations

from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig


class Decoder(nn.Module, Component, kind="decoder"):
    """Maps ``encoder_out`` (B, S, D) to ``log_probs`` (B, S, V).

    Attributes:
        vocab_size: V, blank included.
    """

    class Config(ComponentConfig):
        """What all decoders share: nothing."""

    vocab_size: int

    def forward(self, encoder_out: Tensor) -> Tensor:
        """Score tokens.

        Args:
            encoder_out: (B, S, D).

        Returns:
            ``log_probs`` (B, S, V) float32, natural logarithms.
        """
        raise NotImplementedError
