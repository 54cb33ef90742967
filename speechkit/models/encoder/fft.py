"""The feed-forward Transformer of FastSpeech."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from speechkit.models.encoder.layers import LayeredEncoder
from speechkit.nn.activation import Activation
from speechkit.nn.attention import make_attention
from speechkit.nn.conv_feed_forward import ConvFeedForward
from speechkit.nn.dropout import Dropout
from speechkit.nn.position import Position

Taps = Annotated[int, Field(ge=1)]


class FeedForwardTransformer(LayeredEncoder, name="fft"):
    """Self-attention and two convolutions in each layer (Ren et al., 2019, FastSpeech, arXiv:1905.09263, section 3.1).

    Between neighbouring phones and frames there is more to hear than between words, therefore convolutions. Positions are
    added to the input as it is, not to ``sqrt(D)`` times of it, as in FastSpeech: they are all that tells the frames of one
    phone from each other.

    Differs from the paper: the layer norm stands before each branch, and after the last layer.
    """

    class Config(LayeredEncoder.Config):
        """Options of the feed-forward Transformer; the defaults are those of FastSpeech 2."""

        num_layers: int = Field(4, ge=1)
        """Layers."""
        num_heads: int = Field(2, ge=1)
        """Attention heads; a divisor of dim."""
        ff_dim: int = Field(1024, ge=1)
        """Channels between the two convolutions."""
        kernel_sizes: tuple[Taps, Taps] = (9, 1)
        """Taps of the two convolutions, in encoder frames; [1, 1] is an ordinary Transformer, FastSpeech has [3, 3]."""
        activation: Activation = "relu"
        """Activation between the convolutions."""
        position: Position = "sinusoidal"
        """How frames know their order: sinusoidal, relative (Transformer-XL), rotary (RoFormer), convolutional or none."""

    def make_layer(self, config: Config) -> nn.Module:
        """A :class:`FftLayer`."""
        return FftLayer(config)

    def encode(self, x: Tensor, lens: Tensor) -> Tensor:
        """Run the layers over ``x`` (B, S, D)."""
        return super().encode(x / math.sqrt(self.out_dim), lens)  # positions scale it by the inverse


class FftLayer(nn.Module):
    """One pre-norm block; every branch starts with a layer norm and ends with dropout."""

    def __init__(self, config: FeedForwardTransformer.Config) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.dim)
        self.attention = make_attention(config.position, config.dim, config.num_heads, config.attention_dropout)
        self.norm_feed = nn.LayerNorm(config.dim)
        self.feed = ConvFeedForward(config.dim, config.ff_dim, config.kernel_sizes, config.activation, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, positions: Tensor | None, visible: Tensor | None, padding: Tensor | None) -> Tensor:
        """Map ``x`` (B, S, D) to (B, S, D)."""
        x = x + self.dropout(self.attention(self.norm_attention(x), positions, visible))
        return x + self.dropout(self.feed(self.norm_feed(x), padding))
