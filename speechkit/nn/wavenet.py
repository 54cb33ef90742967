"""Stacks of gated dilated convolutions, as in WaveNet: causal for samples, with a view to both sides for what is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm as normalize_weight

from speechkit.nn.dropout import Dropout


class GatedLayer(NamedTuple):
    """The parts of one layer.

    Args:
        conv: D to 2 D, dilated; tanh reads the first half, the gate the second.
        out: D to D + S, pointwise: what is added to the layer's input, then the skip; only the skip in the last layer.
    """

    conv: nn.Conv1d
    out: nn.Conv1d


class WaveNetStack(nn.Module):
    """``z = tanh(W_f * x + V_f h) . sigmoid(W_g * x + V_g h)``, ``x <- x + R z``, layer by layer, and the sum of all ``S z``
    (van den Oord et al., 2016, arXiv:1609.03499, eq. 2 and 3, figure 4).

    The condition h may differ from frame to frame (local) or be one vector for all (global). WaveGlow, Glow-TTS and VITS call
    the version that looks to both sides, with normalised weights, WN.

    Differs from the paper: without ``R`` in the last layer, whose output nobody reads.

    Args:
        dim: Channels D.
        dilations: Frames between the taps, a layer each: (1, 2, 4 ...), or all 1.
        kernel_size: Taps; odd unless causal.
        cond_dim: Channels C of the condition; 0 for none.
        skip_dim: Channels S of the output; D unless given.
        causal: Whether frame t sees no frame after t.
        dropout: Probability for what the convolutions give.
        weight_norm: Whether each filter is a direction and a length (Salimans and Kingma, 2016).
    """

    def __init__(
        self,
        dim: int,
        dilations: Sequence[int],
        kernel_size: int,
        cond_dim: int = 0,
        skip_dim: int | None = None,
        causal: bool = False,
        dropout: float = 0.0,
        weight_norm: bool = True,
    ) -> None:
        super().__init__()
        if not causal and kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: expected an odd number unless causal, got {kernel_size}; try {kernel_size + 1}")
        self.dim, self.skip_dim, self.causal = dim, skip_dim or dim, causal
        self.dilations, self.kernel_size = tuple(dilations), kernel_size
        last = len(self.dilations) - 1
        self.convs = nn.ModuleList(nn.Conv1d(dim, 2 * dim, kernel_size, dilation=each) for each in self.dilations)
        self.outs = nn.ModuleList(nn.Conv1d(dim, self.skip_dim + (dim if i < last else 0), 1) for i in range(last + 1))
        # One product for all layers.
        self.cond = nn.Conv1d(cond_dim, 2 * dim * len(self.dilations), 1, bias=False) if cond_dim else None
        self.dropout = Dropout(dropout)
        if weight_norm:
            for conv in [*self.convs, *self.outs, *([self.cond] if self.cond else [])]:
                normalize_weight(conv)

    @property
    def receptive_field(self) -> int:
        """How many frames of the input a frame of the output sees, itself included."""
        return 1 + (self.kernel_size - 1) * sum(self.dilations)

    def layers(self) -> list[GatedLayer]:
        """The layers in their order, for those who compute them in another way."""
        return [GatedLayer(conv, out) for conv, out in zip(self.convs, self.outs)]

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """Run the stack.

        Args:
            x: (B, T, D); what lies at padding does not matter.
            padding_mask: (B, T) bool, True at padding; None when nothing is padded.
            cond: (B, T, C), or (B, 1, C) for all frames alike; None where the stack takes none.

        Returns:
            (B, T, S), 0 at padding.
        """
        padding = None if padding_mask is None else padding_mask.unsqueeze(1)  # (B, 1, T)
        x = _without(x.transpose(1, 2), padding)
        conds = self._conditions(cond)
        skips = None
        for conv, out, given in zip(self.convs, self.outs, conds):
            hidden = self.dropout(conv(self._pad(x, conv.dilation[0])))
            z = out(gate(hidden if given is None else hidden + given))
            skips = z[:, -self.skip_dim :] if skips is None else skips + z[:, -self.skip_dim :]
            if z.shape[1] > self.skip_dim:
                x = _without(x + z[:, : self.dim], padding)
        return _without(skips, padding).transpose(1, 2)

    def _conditions(self, cond: Tensor | None) -> Sequence[Tensor | None]:
        if (cond is None) != (self.cond is None):
            takes = f"one of {self.cond.in_channels} channels" if self.cond else "none"
            raise ValueError(f"cond: expected {takes}, got {'none' if cond is None else tuple(cond.shape)}")
        if cond is None:
            return [None] * len(self.dilations)
        return self.cond(cond.transpose(1, 2)).chunk(len(self.dilations), dim=1)  # each (B, 2 D, T or 1)

    def _pad(self, x: Tensor, dilation: int) -> Tensor:
        reach = dilation * (self.kernel_size - 1)
        return F.pad(x, (reach, 0) if self.causal else (reach // 2, reach // 2))


def gate(hidden: Tensor) -> Tensor:
    """``tanh(a) sigmoid(b)`` (B, D, T) of ``hidden`` (B, 2 D, T), a above b."""
    a, b = hidden.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


def _without(x: Tensor, padding: Tensor | None) -> Tensor:
    return x if padding is None else x.masked_fill(padding, 0.0)
