"""Activation functions by name, alone and with dropout behind them."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from speechkit.nn.dropout import can_hash, draw_seed, drop_, dropout

Activation = Literal["swish", "relu", "gelu"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"swish": nn.SiLU, "relu": nn.ReLU, "gelu": nn.GELU}


def make_activation(name: Activation) -> nn.Module:
    """The activation module called ``name``.

    Raises:
        ValueError: an unknown name.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(get_args(Activation))}, got {name!r}; choose one of them")
    return _ACTIVATIONS[name]()


class ActivationDropout(nn.Module):
    """``dropout(activation(x))``, for swish in one step.

    Args:
        activation: swish, relu or gelu.
        p: Dropout probability in [0, 1).
    """

    def __init__(self, activation: Activation, p: float = 0.0) -> None:
        super().__init__()
        self.activation = make_activation(activation)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` of any shape, element by element."""
        if not self.training or self.p == 0:
            return self.activation(x)
        if isinstance(self.activation, nn.SiLU) and can_hash(x) and x.is_contiguous():
            return _SwishDropout.apply(x, self.p, draw_seed())
        return dropout(self.activation(x), self.p)


class _SwishDropout(torch.autograd.Function):
    """Dropout in place on tensors that nobody else has seen yet: the swish, and the gradient of the swish."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.p, ctx.seed = p, seed
        return drop_(F.silu(x), p, seed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return drop_(torch.ops.aten.silu_backward(grad, x).contiguous(), ctx.p, ctx.seed), None, None
