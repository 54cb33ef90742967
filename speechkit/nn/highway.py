"""Highway layers: each says itself how much of its input it lets pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.nn.linear import Linear


class Highway(nn.Module):
    """``y = g relu(W x + b) + (1 - g) x`` with ``g = sigmoid(V x + c)``, layer after layer (Srivastava et al., 2015,
    arXiv:1505.00387, equation 3).

    Args:
        dim: Width D.
        num_layers: Layers.
        gate_bias: Where c begins; below 0 a layer at first lets pass most of its input. With -inf it is the identity.
    """

    def __init__(self, dim: int, num_layers: int = 4, gate_bias: float = -1.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(dim, 2 * dim) for _ in range(num_layers))  # rows: W, then V
        for layer in self.layers:
            nn.init.constant_(layer.bias[dim:], gate_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., D) to (..., D)."""
        for layer in self.layers:
            changed, gate = layer(x).chunk(2, dim=-1)
            x = torch.lerp(x, changed.relu().to(x.dtype), gate.sigmoid().to(x.dtype))
        return x
