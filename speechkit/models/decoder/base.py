"""What decoders are: the networks between an encoder and an objective, one per objective."""

from __future__ import annotations

from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.text.vocabulary import Vocabulary


class Decoder(nn.Module, Component, kind="decoder"):
    """Turns encodings into what one objective and its searches read; each family says how.

    Built as ``config.build(in_dim=..., vocabulary=...)`` with the encoder's width and the token ids.

    Attributes:
        vocabulary: The token ids; scores have one column for each of its ``size``.
    """

    class Config(ComponentConfig):
        """What all decoders share: nothing."""

    vocabulary: Vocabulary


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
