"""What the Conformer and the Transformer share: position, a stack of layers, one mask for all of them."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.encoder.base import Encoder, mask_if_padded
from speechkit.nn.activation import Activation
from speechkit.nn.attention import attention_mask
from speechkit.nn.position import Position, make_position


class LayeredEncoder(Encoder):
    """Subsampling, position, then ``num_layers`` layers that map ``(x, positions, visible, padding)`` to x."""

    class Config(Encoder.Config):
        """What encoders made of self-attention layers share."""

        dim: int = Field(256, ge=1)
        """Model dimension D."""
        num_layers: int = Field(12, ge=1)
        """Layers."""
        num_heads: int = Field(4, ge=1)
        """Attention heads; a divisor of dim."""
        ff_dim: int = Field(2048, ge=1)
        """Inner dimension of the feed-forward modules."""
        activation: Activation = "swish"
        """Activation in the feed-forward (and convolution) modules."""
        position: Position = "relative"
        """How frames know their order: relative (Transformer-XL), rotary (RoFormer), sinusoidal, convolutional or none."""
        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of positions, feed-forward and every residual branch."""
        attention_dropout: float = Field(0.0, ge=0, lt=1)
        """Dropout probability of attention weights."""
        layer_drop: float = Field(0.0, ge=0, lt=1)
        """Probability of skipping a whole layer for one training batch; data-parallel training then has unused parameters."""

    def __init__(self, config: Config, in_dim: int) -> None:
        super().__init__(config, in_dim, config.dim)
        self.out_dim = config.dim
        self.layer_drop = config.layer_drop
        self.position = make_position(config.position, config.dim, config.num_heads, config.dropout)
        self.layers = nn.ModuleList(self.make_layer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.dim)

    def make_layer(self, config: Config) -> nn.Module:
        """A layer ``(x (B, S, D), positions, visible (B, 1, 1, S), padding (B, S)) -> (B, S, D)``."""
        raise NotImplementedError

    def encode(self, x: Tensor, lens: Tensor) -> Tensor:
        """Run the layers over ``x`` (B, S, D)."""
        padding = mask_if_padded(lens, x.shape[1])
        visible = None if padding is None else attention_mask(padding)
        x, positions = self.position(x, padding)
        for layer in self.layers:
            if self.training and self.layer_drop and torch.rand(()) < self.layer_drop:
                continue
            x = layer(x, positions, visible, padding)
        return self.norm(x)
