"""Recurrent layers one above the other, for decoders."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from speechkit.nn.dropout import Dropout
from speechkit.nn.recurrent import RecurrentLayer, State


class RecurrentStack(nn.Module):
    """Layers that go on from any state, together.

    Args:
        layers: One or more, each as wide as the next one's input.
        residual: Whether each adds its input to its output.
        dropout: On the output of each layer, in [0, 1).

    Attributes:
        out_dim: Width of the output.
    """

    def __init__(self, layers: Sequence[RecurrentLayer], residual: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers, self.residual, self.dropout = nn.ModuleList(layers), residual, Dropout(dropout)
        self.out_dim = layers[-1].dim

    def start(self, batch: int, like: Tensor) -> tuple[State, ...]:
        """The states before the first step."""
        return tuple(layer.start(batch, like) for layer in self.layers)

    def forward(self, x: Tensor, states: tuple[State, ...]) -> tuple[Tensor, tuple[State, ...]]:
        """Map ``x`` (B, T, D) to (B, T, out_dim), from ``states``; also returns those behind it."""
        after = []
        for layer, state in zip(self.layers, states, strict=True):
            out, state = layer(x, state)
            out = self.dropout(out)
            x = x + out if self.residual else out
            after.append(state)
        return x, tuple(after)
