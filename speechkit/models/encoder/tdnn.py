"""The time-delay neural network: an encoder that sees only its surroundings."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.encoder.base import Encoder
from speechkit.nn.dropout import Dropout


class Tdnn(Encoder, name="tdnn"):
    """Dilated convolutions over time with residual connections (Waibel et al., 1989; Peddinti et al., 2015).

    An output frame sees ``sum(dilations)`` encoder frames to each side and nothing else. Where there is little data, or
    data in which the place in the utterance gives the word away, that is what makes a model generalise.

    As in Kaldi's TDNNs, what lies beyond an utterance's ends is its first or last frame again. With zeros there, every
    layer could tell how far away the ends are, and CTC is tempted to put its labels into the silence beside them.

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
        for layer in self.layers:
            x = layer(x, lens)
        return self.norm(x)


class TdnnLayer(nn.Module):
    """``x + dropout(linear(relu(conv(norm(x)))))``, with the first and last frame repeated beyond each utterance's ends."""

    def __init__(self, dim: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.conv = nn.Conv1d(dim, dim, 3, dilation=dilation)
        self.out = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, lens: Tensor) -> Tensor:
        """Map ``x`` (B, S, D) to (B, S, D); ``lens`` (B,) are the utterances' frames."""
        y = repeat_ends(self.norm(x), lens, self.conv.dilation[0])
        y = self.conv(y.transpose(1, 2)).transpose(1, 2)  # (B, D, S) inside
        return x + self.dropout(self.out(y.relu()))


def repeat_ends(x: Tensor, lens: Tensor, extra: int) -> Tensor:
    """``x`` (B, S, D) with ``extra`` frames more on each side; what lies beyond ``lens`` (B,) repeats the frame there.

    Returns:
        (B, S + 2 extra, D).
    """
    index = torch.arange(-extra, x.shape[1] + extra, device=x.device).clamp(min=0)
    index = torch.minimum(index, (lens.unsqueeze(1) - 1).clamp(min=0))  # (B, S + 2 extra)
    return x.gather(1, index.unsqueeze(2).expand(-1, -1, x.shape[2]))
