"""Affine couplings: one half of the channels says how the other is to be scaled and shifted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from speechkit.nn.flow import Flow, no_log_det, zero_padding
from speechkit.nn.wavenet import WaveNetStack


class AffineCoupling(Flow):
    """``y_a = x_a``, ``y_b = m + exp(s) x_b`` with ``m, s = WN(x_a, h)`` (Dinh et al., 2017, Real NVP; with a WaveNet stack
    as in Prenger et al., 2019, arXiv:1811.00002, section 2.1).

    ``log |det| = sum s``. The last layer of the network begins as 0, the flow as the identity. An odd number of channels
    gives ``x_b`` the larger half.

    Args:
        dim: Channels D, at least 2.
        hidden_dim: Channels of the stack.
        dilations: Of the stack, a layer each.
        kernel_size: Taps of the stack, odd.
        cond_dim: Channels C of the condition h; 0 for none.
        mean_only: Whether s is 0, so that volumes are kept, as in VITS.
        dropout: Of the stack.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        dilations: Sequence[int],
        kernel_size: int,
        cond_dim: int = 0,
        mean_only: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.halves = (dim // 2, dim - dim // 2)
        self.mean_only = mean_only
        self.start = nn.Linear(self.halves[0], hidden_dim)
        self.stack = WaveNetStack(hidden_dim, dilations, kernel_size, cond_dim, dropout=dropout)
        self.end = nn.Linear(hidden_dim, self.halves[1] * (1 if mean_only else 2))
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.forward`."""
        kept, changed = x.split(self.halves, dim=-1)
        shift, log_scale = self._network(kept, padding_mask, cond)
        if log_scale is None:
            return zero_padding(torch.cat([kept, shift + changed], dim=-1), padding_mask), no_log_det(x)
        y = torch.cat([kept, shift + log_scale.exp() * changed], dim=-1)
        return zero_padding(y, padding_mask), zero_padding(log_scale, padding_mask).to(no_log_det(x).dtype).sum((1, 2))

    def inverse(self, y: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """See :meth:`Flow.inverse`."""
        kept, changed = y.split(self.halves, dim=-1)
        shift, log_scale = self._network(kept, padding_mask, cond)
        changed = changed - shift
        if log_scale is not None:
            changed = changed * (-log_scale).exp()
        return zero_padding(torch.cat([kept, changed], dim=-1), padding_mask)

    def _network(
        self, kept: Tensor, padding_mask: Tensor | None, cond: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        out = self.end(self.stack(self.start(kept), padding_mask, cond))
        return (out, None) if self.mean_only else out.chunk(2, dim=-1)
