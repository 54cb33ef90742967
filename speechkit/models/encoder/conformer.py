"""The Conformer encoder."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.encoder.layers import LayeredEncoder
from speechkit.nn.attention import make_attention
from speechkit.nn.convolution import ConvolutionModule
from speechkit.nn.dropout import Dropout
from speechkit.nn.feed_forward import FeedForward


class Conformer(LayeredEncoder, name="conformer"):
    """Half feed-forward, self-attention, convolution, half feed-forward (Gulati et al., 2020, arXiv 2005.08100, eq. 1).

    Differs from the paper: subsampled input is scaled by sqrt(D), and a layer norm follows the last layer.
    """

    class Config(LayeredEncoder.Config):
        """Options of the Conformer encoder."""

        kernel_size: int = Field(31, ge=1)
        """Taps of the depthwise convolution in encoder frames, odd."""
        conv_norm: Literal["batch", "layer"] = "batch"
        """Norm in the convolution module: batch (over the valid frames of the batch) or layer (per frame)."""

    def make_layer(self, config: Config) -> nn.Module:
        """A :class:`ConformerLayer`."""
        return ConformerLayer(config)


class ConformerLayer(nn.Module):
    """One Conformer block; every branch starts with a layer norm and ends with dropout."""

    def __init__(self, config: Conformer.Config) -> None:
        super().__init__()
        dim = config.dim
        self.norm_first = nn.LayerNorm(dim)
        self.feed_first = FeedForward(dim, config.ff_dim, config.activation, config.dropout)
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = make_attention(config.position, dim, config.num_heads, config.attention_dropout)
        self.norm_conv = nn.LayerNorm(dim)
        self.conv = ConvolutionModule(dim, config.kernel_size, config.conv_norm, config.activation)
        self.norm_last = nn.LayerNorm(dim)
        self.feed_last = FeedForward(dim, config.ff_dim, config.activation, config.dropout)
        self.norm = nn.LayerNorm(dim)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, positions: Tensor | None, visible: Tensor | None, padding: Tensor | None) -> Tensor:
        """Map ``x`` (B, S, D) to (B, S, D)."""
        x = torch.add(x, self.dropout(self.feed_first(self.norm_first(x))), alpha=0.5)
        x = x + self.dropout(self.attention(self.norm_attention(x), positions, visible))
        x = x + self.dropout(self.conv(self.norm_conv(x), padding))
        x = torch.add(x, self.dropout(self.feed_last(self.norm_last(x))), alpha=0.5)
        return self.norm(x)
