"""The time-delay neural network: an encoder that sees only its surroundings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from speechkit.models.encoder.base import Encoder, mask_if_padded
from speechkit.nn.dropout import Dropout


class Tdnn(Encoder, name="tdnn"):
    """Dilated convolutions over time with residual connections (Waibel et al., 1989; Peddinti et al., 2015).

    An output frame sees ``sum(dilations)`` encoder frames to each side and nothing else. Where there is little data, or
    data in which the place in the utterance gives the word away, that is what makes a model generalise.

    Differs from the papers: layer norm before each convolution, and residual connections around them.
    """

    class Config(Encoder.Config):
        """Options of the TDNN encoder."""

        dim: int = Field(256, ge=1)
        """Channels D."""
        dilations: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1, 1, 2, 2)
        """One convolution of three taps each; frames between its taps."""
        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of every residual branch."""

    def __init__(self, config: Config, in_dim: int) -> None:
        super().__init__(config, in_dim, config.dim)
        self.out_dim = config.dim
        self.layers = nn.ModuleList(TdnnLayer(config.dim, dilation, config.dropout) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.dim)

    def encode(self, x: Tensor, lens: Tensor) -> Tensor:
        """Run the convolutions over ``x`` (B, S, D)."""
        padding = mask_if_padded(lens, x.shape[1])
        for layer in self.layers:
            x = layer(x, padding)
        return self.norm(x)


class TdnnLayer(nn.Module):
    """``x + dropout(linear(relu(conv(norm(x)))))``, with zeros beyond each utterance's ends."""

    def __init__(self, dim: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.conv = nn.Conv1d(dim, dim, 3, padding=dilation, dilation=dilation)
        self.out = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """Map ``x`` (B, S, D) to (B, S, D); ``padding`` (B, S) is True at padding, or None where there is none."""
        y = self.norm(x)
        if padding is not None:
            y = y.masked_fill(padding.unsqueeze(2), 0.0)
        y = self.conv(y.transpose(1, 2)).transpose(1, 2)  # (B, D, S) inside
        return x + self.dropout(self.out(y.relu()))
