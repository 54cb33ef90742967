"""A product with the same matrix in every step of a loop, whose gradient is made once, behind the last step."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_ONE_DNN = (torch.float32, torch.bfloat16)


class RepeatedLinear:
    """``y_t = x_t W^T`` for one W and many x, one after another, as a recurrent network asks for them.

    Left alone, autograd makes the gradient of W in each step and adds it up: of a matrix that is larger than the batch each
    step writes and reads all its numbers several times, and there is nothing to multiply them with. Here each step keeps its
    x and the gradient of its y, and the gradient of W is one product of all of them. (Of an LSTM of 1024 cells that hears 512
    numbers beside its own, 8 utterances: 1.1 ms for each step, not 6.8.) Make it anew for every loop.

    Differs from autograd's own: it cannot be differentiated twice.

    Args:
        weight: W (..., N, K): one matrix, or one for each utterance, as a memory is. It is read in autocast's type where that
            is on.
    """

    def __init__(self, weight: Tensor) -> None:
        device = weight.device.type
        if torch.is_autocast_enabled(device) and weight.dtype != torch.float64:
            weight = weight.to(torch.get_autocast_dtype(device))
        self.weight, self._pairs = weight.detach(), []
        # Autograd calls its backward pass behind those of all steps, for each of them has used its (empty) value.
        self._behind_all = _Gather.apply(weight, self._pairs)

    def __call__(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., R, K) to (..., R, N), in the type of W."""
        return _Multiply.apply(x.to(self.weight.dtype), self._behind_all, self.weight, self._pairs)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.pairs = pairs
        return weight.new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, None]:
        if not ctx.pairs:
            return None, None
        inputs, grads = (torch.cat(each, dim=-2) for each in zip(*ctx.pairs))
        ctx.pairs.clear()
        return grads.mT @ inputs, None


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, behind_all: Tensor, weight: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.pairs = pairs
        return _product(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            ctx.pairs.append((x, grad))
        grad_x = _product(grad, weight.mT) if ctx.needs_input_grad[0] else None
        return grad_x, grad.new_empty(0), None, None


def _product(x: Tensor, weight: Tensor) -> Tensor:
    """``x weight^T``; oneDNN reads a matrix for a few rows 1.5 times faster than MKL does."""
    if weight.dim() == 2 and x.device.type == "cpu" and x.dtype in _ONE_DNN and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return x @ weight.mT if weight.dim() > 2 else F.linear(x, weight)
