"""What decoders are: the networks between an encoder and an objective, one per objective."""

from __future__ import annotations

from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig


class Decoder(nn.Module, Component, kind="decoder"):
    """Turns encodings into what one objective and its searches read; each family says how.

    Attributes:
        vocab_size: V, blank included.
    """

    class Config(ComponentConfig):
        """What all decoders share: nothing."""

    vocab_size: int


class FrameDecoder(Decoder):
    """Maps ``encoder_out`` (B, S, D) to ``log_probs`` (B, S, V): a distribution for each frame by itself."""

    def forward(self, encoder_out: Tensor) -> Tensor:
        """Score tokens.

        Args:
            encoder_out: (B, S, D).

        Returns:
            ``log_probs`` (B, S, V) float32, natural logarithms.
        """
        raise NotImplementedError
