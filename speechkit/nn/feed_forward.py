"""Position-wise feed-forward module."""

from __future__ import annotations

from torch import Tensor, nn

from speechkit.nn.activation import Activation, ActivationDropout
from speechkit.nn.linear import Linear


class FeedForward(nn.Module):
    """``W2 dropout(act(W1 x + b1)) + b2`` (Vaswani et al., 2017, "Attention is all you need", eq. 2).

    Args:
        dim: Model dimension D.
        hidden_dim: Inner dimension.
        activation: Between the two projections; the paper has relu, the Conformer swish.
        dropout: After the activation, in [0, 1).
    """

    def __init__(self, dim: int, hidden_dim: int, activation: Activation = "swish", dropout: float = 0.0) -> None:
        super().__init__()
        self.expand = Linear(dim, hidden_dim)
        self.activation = ActivationDropout(activation, dropout)
        self.contract = Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., D) to (..., D)."""
        return self.contract(self.activation(self.expand(x)))
