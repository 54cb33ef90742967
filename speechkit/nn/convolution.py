"""The convolution module of the Conformer."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.nn.activation import Activation, make_activation
from speechkit.nn.linear import Linear
from speechkit.nn.norm import MaskedBatchNorm


class DepthwiseConv(nn.Module):
    """One filter per channel over time, "same" output length: ``y[t, d] = b[d] + sum_k w[k, d] x[t + k - (K-1)/2, d]``.

    Args:
        dim: Channels D.
        kernel_size: Taps K, odd.
    """

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        if kernel_size % 2 == 0 or kernel_size < 1:
            raise ValueError(f"kernel_size: expected an odd number >= 1, got {kernel_size}; try {kernel_size + 1}")
        bound = kernel_size**-0.5
        self.weight = nn.Parameter(torch.empty(kernel_size, dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(dim).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``x`` (B, T, D); frames outside [0, T) count as 0."""
        taps, dim = self.weight.shape
        # As an image one pixel high whose channels lie together, x needs no transposed copy and meets a faster kernel.
        image = x.transpose(1, 2).unsqueeze(2)  # (B, D, 1, T), channels last
        weight = self.weight.t()[:, None, None, :]  # (D, 1, 1, K)
        out = F.conv2d(image, weight, self.bias, padding=(0, taps // 2), groups=dim)
        return out.squeeze(2).transpose(1, 2)  # (B, T, D)


class ConvolutionModule(nn.Module):
    """Pointwise, GLU, depthwise, norm, activation, pointwise (Gulati et al., 2020, "Conformer", figure 2).

    Padding is zeroed before the depthwise filter, so it never leaks into valid frames, and batch norm counts valid
    frames only.

    Args:
        dim: Model dimension D.
        kernel_size: Taps of the depthwise filter, odd.
        norm: "batch" as in the paper, or "layer" (per frame, for small batches and streaming).
        activation: After the norm; the paper has swish.
    """

    def __init__(
        self,
        dim: int,
        kernel_size: int = 31,
        norm: Literal["batch", "layer"] = "batch",
        activation: Activation = "swish",
    ) -> None:
        super().__init__()
        self.expand = Linear(dim, 2 * dim)
        self.depthwise = DepthwiseConv(dim, kernel_size)
        self.norm = MaskedBatchNorm(dim) if norm == "batch" else nn.LayerNorm(dim)
        self.activation = make_activation(activation)
        self.contract = Linear(dim, dim)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Convolve over time.

        Args:
            x: (B, T, D).
            padding_mask: (B, T) bool, True at padding; None when nothing is padded.

        Returns:
            (B, T, D); padding holds unspecified finite values.
        """
        x = F.glu(self.expand(x), dim=-1)  # (B, T, 2D) -> (B, T, D)
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(-1), 0.0)
        x = self.depthwise(x)
        x = self.norm(x, padding_mask) if isinstance(self.norm, MaskedBatchNorm) else self.norm(x)
        return self.contract(self.activation(x))
