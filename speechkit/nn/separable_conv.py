"""Dilated convolutions that look along time and across channels in turn."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.nn.dropout import Dropout
from speechkit.nn.flow import zero_padding


class DilatedSeparableConv(nn.Module):
    """Residual layers of a depthwise convolution and a pointwise one, each with layer norm and GELU; the dilation of layer i
    is ``kernel_size^i`` (DDSConv in Kim et al., 2021, VITS, appendix B.2).

    Args:
        dim: Channels D.
        kernel_size: Taps, odd.
        num_layers: Layers.
        dropout: Probability behind each layer.
    """

    def __init__(self, dim: int, kernel_size: int, num_layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: expected an odd number, got {kernel_size}; try {kernel_size + 1}")
        dilations = [kernel_size**i for i in range(num_layers)]
        self.depthwise = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel_size, groups=dim, dilation=d, padding=d * (kernel_size - 1) // 2) for d in dilations
        )
        self.pointwise = nn.ModuleList(nn.Linear(dim, dim) for _ in dilations)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in dilations)
        self.pointwise_norms = nn.ModuleList(nn.LayerNorm(dim) for _ in dilations)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """Map ``x`` (B, T, D), to which ``cond`` (B, T or 1, D) is added, to (B, T, D) with 0 at padding."""
        if cond is not None:
            x = x + cond
        for depthwise, norm, pointwise, pointwise_norm in zip(
            self.depthwise, self.norms, self.pointwise, self.pointwise_norms
        ):
            x = zero_padding(x, padding_mask)
            y = depthwise(x.transpose(1, 2)).transpose(1, 2)
            y = F.gelu(pointwise_norm(pointwise(F.gelu(norm(y)))))
            x = x + self.dropout(y)
        return zero_padding(x, padding_mask)
