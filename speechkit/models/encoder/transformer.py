"""The Transformer encoder."""

from __future__ import annotations

from torch import Tensor, nn

from speechkit.models.encoder.layers import LayeredEncoder
from speechkit.nn.activation import Activation
from speechkit.nn.attention import make_attention
from speechkit.nn.dropout import Dropout
from speechkit.nn.feed_forward import FeedForward
from speechkit.nn.position import Position


class Transformer(LayeredEncoder, name="transformer"):
    """Self-attention and feed-forward (Vaswani et al., 2017; for speech Dong et al., 2018, Speech-Transformer).

    Differs from the paper: the layer norm stands before each branch (Xiong et al., 2020), and after the last layer.
    """

    class Config(LayeredEncoder.Config):
        """Options of the Transformer encoder."""

        activation: Activation = "relu"
        """Activation in the feed-forward modules."""
        position: Position = "sinusoidal"
        """How frames know their order: sinusoidal, relative (Transformer-XL), rotary (RoFormer), convolutional or none."""

    def make_layer(self, config: Config) -> nn.Module:
        """A :class:`TransformerLayer`."""
        return TransformerLayer(config)


class TransformerLayer(nn.Module):
    """One pre-norm Transformer block; every branch starts with a layer norm and ends with dropout."""

    def __init__(self, config: Transformer.Config) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.dim)
        self.attention = make_attention(config.position, config.dim, config.num_heads, config.attention_dropout)
        self.norm_feed = nn.LayerNorm(config.dim)
        self.feed = FeedForward(config.dim, config.ff_dim, config.activation, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, positions: Tensor | None, visible: Tensor | None, padding: Tensor | None) -> Tensor:
        """Map ``x`` (B, S, D) to (B, S, D)."""
        x = x + self.dropout(self.attention(self.norm_attention(x), positions, visible))
        return x + self.dropout(self.feed(self.norm_feed(x)))
