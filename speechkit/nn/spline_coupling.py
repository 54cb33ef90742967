"""Spline couplings: one half of the channels says through which spline each number of the other goes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.nn.flow import Flow, no_log_det, zero_padding
from speechkit.nn.separable_conv import DilatedSeparableConv
from speechkit.nn.spline import rational_quadratic_spline


class SplineCoupling(Flow):
    """``y_a = x_a``, ``y_b = spline(x_b; theta(x_a, h))`` (Durkan et al., 2019, arXiv:1906.04032, section 3.2; with the network
    of VITS' stochastic duration predictor, Kim et al., 2021, appendix B.2).

    ``log |det|`` is the sum of the log-slopes. An odd number of channels gives ``x_b`` the larger half.

    Args:
        dim: Channels D, at least 2.
        hidden_dim: Channels of the network, and of its condition h.
        kernel_size: Taps of the network, odd.
        num_layers: Layers of the network.
        num_bins: K, pieces of each spline.
        bound: Numbers beyond -bound and bound stay as they are.
        dropout: Of the network.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        kernel_size: int = 3,
        num_layers: int = 3,
        num_bins: int = 10,
        bound: float = 5.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.halves = (dim // 2, dim - dim // 2)
        self.num_bins, self.bound = num_bins, bound
        self.start = nn.Linear(self.halves[0], hidden_dim)
        self.conv = DilatedSeparableConv(hidden_dim, kernel_size, num_layers, dropout)
        self.end = nn.Linear(hidden_dim, self.halves[1] * (3 * num_bins - 1))
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.forward`."""
        y, log_slopes = self._spline(x, padding_mask, cond, inverse=False)
        return y, zero_padding(log_slopes, padding_mask).to(no_log_det(x).dtype).sum((1, 2))

    def inverse(self, y: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """See :meth:`Flow.inverse`."""
        return self._spline(y, padding_mask, cond, inverse=True)[0]

    def _spline(
        self, x: Tensor, padding_mask: Tensor | None, cond: Tensor | None, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        kept, changed = x.split(self.halves, dim=-1)
        hidden = self.conv(self.start(kept), padding_mask, cond)
        theta = self.end(hidden).unflatten(-1, (self.halves[1], 3 * self.num_bins - 1))
        widths, heights, slopes = theta.split([self.num_bins, self.num_bins, self.num_bins - 1], dim=-1)
        scale = hidden.shape[-1] ** -0.5  # logits of a wide network would be far apart
        out, log_slopes = rational_quadratic_spline(changed, widths * scale, heights * scale, slopes, self.bound, inverse)
        return zero_padding(torch.cat([kept, out], dim=-1), padding_mask), log_slopes
