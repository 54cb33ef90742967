"""Sinusoids of the place in a sequence, as strong as training wants them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.nn.dropout import Dropout
from speechkit.nn.position import SinusoidalPosition


class ScaledPosition(nn.Module):
    """``x_t + alpha PE(t)`` with a learned factor (Li et al., 2019, Neural speech synthesis with Transformer network,
    arXiv:1809.08895, section 3.3): what encoders and decoders read has not the same size.

    Args:
        dim: Width D, even.
        dropout: On the sum, in [0, 1).
    """

    def __init__(self, dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.table = SinusoidalPosition(dim).table
        self.alpha = nn.Parameter(torch.ones(()))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Map ``x`` (B, T, D), the first of it at place ``start``, to (B, T, D)."""
        return self.dropout(x + self.alpha.to(x.dtype) * self.table(start, start + x.shape[1], x))
