"""Attention of a decoder that goes step by step, with everything that the steps have in common made before the first."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from speechkit.nn.location_attention import AdditiveAttention, LocationAttention
from speechkit.nn.repeated_linear import RepeatedLinear
from speechkit.utils.lens import padding_mask

_LEAST = 1e-6  # of what attention says before forward attention multiplies: a path must be able to go on


class StepAttention:
    """The weights of :class:`AdditiveAttention` or :class:`LocationAttention`, whose parameters it reads, for one query of each
    utterance at a time, and what lies there.

    The same values with less to do: ``tanh(x) = 2 sigmoid(2 x) - 1``, where the softmax does not see the 1; filters and the
    projection behind them are one matrix; and hidden layers (B, U, A) are not kept for the backward pass but made again.
    Make it anew for every batch.

    Args:
        attention: Holds the parameters.
        memory: (B, U, M).
        memory_lens: (B,) int64; an utterance of length 0 is looked at in its first place, where there is nothing but zeros.
        forward: Whether weights become those of forward attention (Zhang et al., 2018, arXiv:1807.06736, algorithm 1): ``a_t(n)``
            is proportional to ``(a_{t-1}(n) + a_{t-1}(n-1)) y_t(n)`` with y the weights of the attention itself, so that it moves
            on by one token or stays.
    """

    def __init__(self, attention: AdditiveAttention, memory: Tensor, memory_lens: Tensor, forward: bool = False) -> None:
        padding = padding_mask(memory_lens, memory.shape[1])
        memory = memory.masked_fill(padding.unsqueeze(2), 0.0)
        self.forward = forward
        self.visible = ~padding
        self.visible[:, 0] = True
        self.query = RepeatedLinear(attention.query.weight)
        self.values = RepeatedLinear(memory.mT)
        keys = attention.keys(memory)
        wide = torch.promote_types(keys.dtype, torch.float32)
        self._hidden = torch.zeros(self.visible.shape, dtype=wide, device=memory.device).masked_fill_(~self.visible, -torch.inf)
        kernel = None
        if isinstance(attention, LocationAttention):
            kernel = (2 * attention.location.weight @ attention.filters.weight.flatten(1)).to(wide)
        self._energies = _Energies(
            2 * (keys + attention.query.bias).to(wide), kernel, 2 * attention.energy.weight[0].to(wide)
        )

    def start(self) -> tuple[Tensor, Tensor, Tensor]:
        """The context (B, M), weights (B, U) and their sum (B, U) before the first step: it has looked at the first token."""
        weights = F.one_hot(torch.zeros_like(self.visible[:, 0], dtype=torch.int64), self.visible.shape[1])
        weights = weights.to(self._hidden.dtype)
        context = self.values.weight.new_zeros(self.values.weight.shape[:2])
        return context, weights, torch.zeros_like(weights)

    def __call__(
        self, query: Tensor, weights: Tensor, total: Tensor, window: tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Look.

        Args:
            query: (B, Q).
            weights: (B, U), those of the step before.
            total: (B, U), their sum over all steps before.
            window: Tokens back and ahead of the one last looked at most that may be looked at; None for all.

        Returns:
            The context (B, M), the weights (B, U), which sum to 1, in float32 at least, and the new sum.
        """
        energies = self._energies(2 * self.query(query), weights, total) + self._hidden
        if window is not None:
            energies = energies.masked_fill(outside(weights, *window), -torch.inf)
        new = energies.softmax(1)
        if self.forward:
            reached = weights + F.pad(weights[:, :-1], (1, 0))
            new = reached * new.clamp(min=_LEAST) * self.visible
            new = new / new.sum(1, keepdim=True)
        return self.values(new.unsqueeze(1)).squeeze(1), new, total + new


def outside(weights: Tensor, back: int, ahead: int) -> Tensor:
    """(B, U) bool, True further than ``back`` before or ``ahead`` behind the largest of the ``weights`` (B, U)."""
    places = torch.arange(weights.shape[1], device=weights.device)
    offsets = places - weights.argmax(1, keepdim=True)
    return (offsets < -back) | (offsets > ahead)


class _Energies:
    """``v . sigmoid(keys + query + kernel * [weights; total])`` and, behind the last step, the gradients of keys, kernel and v.

    keys: (B, U, A); kernel: (A, C K) or None; v: (A,).
    """

    def __init__(self, keys: Tensor, kernel: Tensor | None, v: Tensor) -> None:
        self._sums: list[Tensor | None] = []
        self._shared = [None if each is None else each.detach() for each in (keys, kernel, v)]
        self._behind_all = _GatherShared.apply(self._sums, keys, kernel, v)

    def __call__(self, query: Tensor, weights: Tensor, total: Tensor) -> Tensor:
        """(B, U) of ``query`` (B, A), ``weights`` and ``total`` (B, U)."""
        keys, kernel, _ = self._shared
        looked = None
        if kernel is not None:
            looked = torch.stack([weights, total], dim=1)
        return _EnergyStep.apply(query.to(keys.dtype), looked, self._behind_all, self._shared, self._sums)


class _GatherShared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sums: list[Tensor | None], keys: Tensor, kernel: Tensor | None, v: Tensor) -> Tensor:
        ctx.sums = sums
        return keys.new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        sums = tuple(ctx.sums) or (None, None, None)
        ctx.sums.clear()
        return None, *sums


class _EnergyStep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, looked: Tensor | None, behind_all: Tensor, shared: list[Tensor], sums: list[Tensor]
    ) -> Tensor:
        ctx.save_for_backward(query, looked)
        ctx.shared, ctx.sums = shared, sums
        hidden, _ = _hidden_layer(query, looked, *shared[:2])
        return hidden @ shared[2]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, looked = ctx.saved_tensors
        keys, kernel, v = ctx.shared
        hidden, windows = _hidden_layer(query, looked, keys, kernel)
        grad_v = grad.flatten() @ hidden.flatten(0, 1)
        grad_hidden = torch.addcmul(hidden, hidden, hidden, value=-1, out=hidden).mul_(v).mul_(grad.unsqueeze(2))
        grad_kernel = grad_looked = None
        if kernel is not None:
            rows = grad_hidden.flatten(0, 1)
            grad_kernel = rows.T @ windows
            if ctx.needs_input_grad[1]:
                grad_looked = _fold((rows @ kernel).view(*keys.shape[:2], looked.shape[1], -1))
        grad_query = grad_hidden.sum(1)
        _add(ctx.sums, grad_hidden, grad_kernel, grad_v)
        return grad_query, grad_looked, grad.new_empty(0), None, None


def _hidden_layer(query: Tensor, looked: Tensor | None, keys: Tensor, kernel: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """(B, U, A), and the windows (B U, C K) of ``looked`` (B, C, U) that the filters see."""
    windows = None
    if kernel is None:
        hidden = keys + query.unsqueeze(1)
    else:
        taps = kernel.shape[1] // looked.shape[1]
        around = F.pad(looked, (taps // 2, taps // 2)).unfold(2, taps, 1)  # (B, C, U, K)
        windows = around.transpose(1, 2).flatten(2).flatten(0, 1)
        hidden = torch.addmm(keys.flatten(0, 1), windows, kernel.T).view(keys.shape).add_(query.unsqueeze(1))
    return hidden.sigmoid_(), windows


def _fold(grad: Tensor) -> Tensor:
    """The gradient (B, C, U) of what windows (B, U, C, K) were cut from, without their padding."""
    batch, length, channels, taps = grad.shape
    # A row of length U + K for every tap, written one place further right each: then columns add up.
    shifted = grad.new_zeros(batch, channels, taps * (length + taps))
    rows = shifted.as_strided((batch, channels, taps, length), (*shifted.stride()[:2], length + taps + 1, 1))
    rows.copy_(grad.permute(0, 2, 3, 1))
    return shifted.view(batch, channels, taps, -1).sum(2)[..., taps // 2 : taps // 2 + length]


def _add(sums: list[Tensor | None], *terms: Tensor | None) -> None:
    if not sums:
        sums.extend(terms)
        return
    for total, term in zip(sums, terms):
        if total is not None:
            total.add_(term)
