"""Recurrent layers for decoders: they go on from any state, by one step or by many, with the same result.

All are called alike: ``out, state = layer(x, state)`` with ``x`` (B, T, D), where ``layer.start(batch, like)`` is the first
state. What has to hear its own results calls them step by step: ``loop = layer.loop(given)`` for inputs whose first ``given``
numbers are known before the loop and the others only in it, ``projected = loop.project(known)``, then
``out, state = loop(projected[:, t], fed_back, state)``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from speechkit.nn.repeated_linear import RepeatedLinear

State = tuple[Tensor, ...]


class RecurrentLayer(nn.Module):
    """What all of them share; a subclass has :meth:`loop` and says how many tensors its state has.

    Args:
        in_dim: Width D of the input.
        dim: Cells H.
        num_gates: Blocks of H rows in the matrices.
    """

    state_size: int

    def __init__(self, in_dim: int, dim: int, num_gates: int) -> None:
        super().__init__()
        self.in_dim, self.dim = in_dim, dim
        self.weight_ih = nn.Parameter(torch.empty(num_gates * dim, in_dim))
        self.weight_hh = nn.Parameter(torch.empty(num_gates * dim, dim))
        self.bias_ih = nn.Parameter(torch.empty(num_gates * dim))
        self.bias_hh = nn.Parameter(torch.empty(num_gates * dim))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(dim**-0.5), dim**-0.5)

    def start(self, batch: int, like: Tensor) -> State:
        """The state before the first step, zeros (batch, H) in the type of ``like``."""
        return (like.new_zeros(batch, self.dim),) * self.state_size

    def loop(self, given: int | None = None) -> Any:
        """What runs its steps; ``given`` numbers of each input are known before, all of them if None."""
        raise NotImplementedError

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map ``x`` (B, T, D) to (B, T, H), from ``state``; also returns the state behind it."""
        loop, outs = self.loop(), []
        for projected in loop.project(x).unbind(1):
            out, state = loop(projected, None, state)
            outs.append(out)
        return torch.stack(outs, dim=1), state


class ZoneoutLstm(RecurrentLayer):
    """An LSTM of which each cell may keep its state for a step (Krueger et al., 2017, Zoneout, arXiv:1606.01305).

    With probability p a hidden unit, and independently a cell, is in training what it was in the step before; in evaluation it
    is p times that and 1 - p times the new one. Parameters are those of ``torch.nn.LSTMCell``, which it equals with p = 0.

    Args:
        in_dim: Width D of the input.
        dim: Cells H.
        zoneout: p in [0, 1).
    """

    state_size = 2

    def __init__(self, in_dim: int, dim: int, zoneout: float = 0.0) -> None:
        super().__init__(in_dim, dim, 4)
        if not 0 <= zoneout < 1:
            raise ValueError(f"zoneout: expected a probability in [0, 1), got {zoneout}")
        self.zoneout = zoneout

    def loop(self, given: int | None = None) -> LstmLoop:
        """See :meth:`RecurrentLayer.loop`."""
        return LstmLoop(self, self.in_dim if given is None else given)

    def keep(self, new: Tensor, old: Tensor) -> Tensor:
        """``new`` (B, H), of which zoneout lets some be ``old``."""
        if self.zoneout == 0:
            return new
        old = old.to(new.dtype)
        if not self.training:
            return torch.lerp(new, old, self.zoneout)
        return torch.lerp(new, old, torch.empty_like(new).bernoulli_(self.zoneout))


class LstmLoop:
    """The steps of a :class:`ZoneoutLstm`; what is fed back and the last output go through one product.

    Args:
        layer: The layer.
        given: Numbers of each input that are known before the loop.
    """

    def __init__(self, layer: ZoneoutLstm, given: int) -> None:
        self.layer, self.given = layer, given
        self.product = RepeatedLinear(torch.cat([layer.weight_ih[:, given:], layer.weight_hh], dim=1))

    def project(self, x: Tensor) -> Tensor:
        """What ``x`` (B, T, given) adds to the gates, all steps at once: (B, T, 4 H)."""
        return F.linear(x, self.layer.weight_ih[:, : self.given], self.layer.bias_ih + self.layer.bias_hh)

    def __call__(self, projected: Tensor, fed: Tensor | None, state: State) -> tuple[Tensor, State]:
        """One step: the output (B, H) and the new state.

        Args:
            projected: (B, 4 H), of this step.
            fed: (B, D - given), or None if everything is given.
            state: The one before.
        """
        hidden, cell = state
        heard = hidden if fed is None else torch.cat([fed.to(hidden.dtype), hidden], dim=1)
        new, new_cell = lstm_update(projected + self.product(heard), cell)
        new, new_cell = self.layer.keep(new, hidden), self.layer.keep(new_cell, cell)
        return new, (new, new_cell)


class Gru(RecurrentLayer):
    """A GRU with the parameters and the values of ``torch.nn.GRUCell``.

    Args:
        in_dim: Width D of the input.
        dim: Cells H.
    """

    state_size = 1

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__(in_dim, dim, 3)

    def loop(self, given: int | None = None) -> GruLoop:
        """See :meth:`RecurrentLayer.loop`."""
        return GruLoop(self, self.in_dim if given is None else given)


class GruLoop:
    """The steps of a :class:`Gru`.

    Args:
        layer: The layer.
        given: Numbers of each input that are known before the loop.
    """

    def __init__(self, layer: Gru, given: int) -> None:
        self.layer, self.given = layer, given
        self.from_fed = RepeatedLinear(layer.weight_ih[:, given:]) if given < layer.in_dim else None
        self.from_hidden = RepeatedLinear(layer.weight_hh)

    def project(self, x: Tensor) -> Tensor:
        """What ``x`` (B, T, given) adds to the gates, all steps at once: (B, T, 3 H)."""
        return F.linear(x, self.layer.weight_ih[:, : self.given], self.layer.bias_ih)

    def __call__(self, projected: Tensor, fed: Tensor | None, state: State) -> tuple[Tensor, State]:
        """One step; see :meth:`LstmLoop.__call__`."""
        (hidden,) = state
        heard = projected if fed is None or self.from_fed is None else projected + self.from_fed(fed)
        kept = self.from_hidden(hidden) + self.layer.bias_hh
        width = 2 * self.layer.dim
        reset, update = (heard[:, :width] + kept[:, :width]).sigmoid().chunk(2, dim=1)
        new = torch.addcmul(heard[:, width:], reset, kept[:, width:]).tanh()
        hidden = torch.lerp(new, hidden.to(new.dtype), update)
        return hidden, (hidden,)


def lstm_update(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """``c' = sigmoid(f) c + sigmoid(i) tanh(g)``, ``h' = sigmoid(o) tanh(c')``.

    Args:
        gates: (B, 4 H): i, f, g, o.
        cell: c (B, H).

    Returns:
        h' in the type of the gates and c' in that of the cell, (B, H) each.
    """
    return _LstmUpdate.apply(gates, cell)


class _LstmUpdate(torch.autograd.Function):
    """In one node: as so many small operations, half of a step's time would be spent on starting them."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        ctx.dtype = gates.dtype
        activated = gates.to(cell.dtype, copy=True)
        take, forget, new, show = activated.chunk(4, dim=1)
        # tanh(x) = 2 sigmoid(2 x) - 1; on a CPU torch's own tanh takes 6 times as long.
        new.mul_(2)
        activated.sigmoid_()
        new.mul_(2).sub_(1)
        new_cell = torch.addcmul(forget * cell, take, new)
        bounded = (2 * new_cell).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(activated, cell, bounded)
        return (show * bounded).to(gates.dtype), new_cell

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hidden: Tensor, grad_cell: Tensor) -> tuple[Tensor, Tensor]:
        activated, cell, bounded = ctx.saved_tensors
        take, forget, new, show = activated.chunk(4, dim=1)
        grad_hidden = grad_hidden.to(cell.dtype)
        through = grad_hidden * show
        grad_cell = grad_cell + through - through * bounded.square()
        slopes = torch.addcmul(activated, activated, activated, value=-1)  # s (1 - s), of the sigmoids
        slope_take, slope_forget, slope_new, slope_show = slopes.chunk(4, dim=1)
        slope_take.mul_(new).mul_(grad_cell)
        slope_forget.mul_(cell).mul_(grad_cell)
        torch.addcmul(take, take, new.square(), value=-1, out=slope_new).mul_(grad_cell)
        slope_show.mul_(bounded).mul_(grad_hidden)
        return slopes.to(ctx.dtype), grad_cell * forget
