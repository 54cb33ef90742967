"""How a sequence model learns the order of its frames.

A position module maps ``x`` (B, T, D) to ``(x, positions)``: what it adds to the input, and what the attention of every
layer needs beside it (made once per forward). Both kinds of module come in matching pairs, see :mod:`speechkit.nn.attention`.
All scale the input by ``sqrt(D)`` first (Vaswani et al., 2017, section 3.4).
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.nn.dropout import Dropout

Position = Literal["relative", "rotary", "sinusoidal", "convolutional", "none"]


def sinusoids(positions: Tensor, dim: int) -> Tensor:
    """``[sin(p w_0), cos(p w_0), sin(p w_1), ...]`` with ``w_i = 10000^(-2i / dim)`` (Vaswani et al., 2017, section 3.5).

    Args:
        positions: (N,) float, any sign.
        dim: Even number of features.

    Returns:
        (N, dim) float32.
    """
    rates = torch.exp(torch.arange(0, dim, 2, device=positions.device) * (-math.log(10000.0) / dim))
    angles = positions.unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class NoPosition(nn.Module):
    """No information about order but what convolutions in the model give."""

    def __init__(self, dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.scale = math.sqrt(dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Scale and drop ``x`` (B, T, D)."""
        return self.dropout(x * self.scale), None


class SinusoidalPosition(NoPosition):
    """Adds a sinusoid of the absolute frame number (Vaswani et al., 2017, section 3.5)."""

    def __init__(self, dim: int, dropout: float = 0.0) -> None:
        super().__init__(dim, dropout)
        self.table = _Table(dim)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Scale ``x`` (B, T, D), add the sinusoids of frames 0 ... T - 1, drop."""
        return self.dropout(x * self.scale + self.table(0, x.shape[1], x)), None


class ConvolutionalPosition(NoPosition):
    """Adds a grouped convolution over neighbouring frames (Mohamed et al., 2019, arXiv 1904.11660; Baevski et al., 2020,
    wav2vec 2.0, section 2).

    Differs from the papers: one layer, without weight norm. Together with ``subsampling: vgg`` it is the convolutional
    context of the first.
    """

    def __init__(self, dim: int, dropout: float = 0.0, kernel_size: int = 31, groups: int = 16) -> None:
        super().__init__(dim, dropout)
        self.conv = nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, groups=math.gcd(dim, groups))

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Scale ``x`` (B, T, D), add ``gelu(conv(x))``, drop; padding counts as 0."""
        x = x * self.scale
        valid = x if padding_mask is None else x.masked_fill(padding_mask.unsqueeze(-1), 0.0)
        return self.dropout(x + F.gelu(self.conv(valid.transpose(1, 2)).transpose(1, 2))), None


class RelativePosition(NoPosition):
    """Leaves ``x`` alone and gives attention the sinusoids of all distances (Dai et al., 2019, Transformer-XL, section 3.3)."""

    def __init__(self, dim: int, dropout: float = 0.0) -> None:
        super().__init__(dim, dropout)
        self.table = _Table(dim)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Scale and drop ``x`` (B, T, D).

        Returns:
            ``x`` and (2T - 1, D): sinusoids of the distances query - key, from T - 1 down to 1 - T.
        """
        length = x.shape[1]
        return self.dropout(x * self.scale), self.dropout(self.table(1 - length, length, x).flip(0))


class RotaryPosition(NoPosition):
    """Leaves ``x`` alone and gives attention the angles that turn queries and keys (Su et al., 2021, RoFormer, eq. 34).

    Args:
        dim: Model dimension D.
        dropout: On the input, in [0, 1).
        head_dim: Even dimension of one head.
    """

    def __init__(self, dim: int, dropout: float = 0.0, head_dim: int = 64) -> None:
        super().__init__(dim, dropout)
        self.table = _Table(head_dim)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Scale and drop ``x`` (B, T, D).

        Returns:
            ``x`` and (T, head_dim): interleaved sine and cosine of ``t w_i``.
        """
        return self.dropout(x * self.scale), self.table(0, x.shape[1], x)


class _Table(nn.Module):
    """Sinusoids of a range of integers, computed once and grown by need; part of no checkpoint."""

    def __init__(self, dim: int, reach: int = 1024) -> None:
        super().__init__()
        if dim % 2:
            raise ValueError(f"position: expected an even dimension, got {dim}; sine and cosine come in pairs")
        self.dim = dim
        self.register_buffer("rows", sinusoids(torch.arange(1.0 - reach, reach), dim), persistent=False)

    def forward(self, start: int, stop: int, like: Tensor) -> Tensor:
        """Rows ``start`` ... ``stop - 1`` (stop - start, dim), in the type of ``like``."""
        reach = (len(self.rows) + 1) // 2
        if max(1 - start, stop) > reach:
            reach = 2 * max(1 - start, stop)
            # Growth in validation must not leave an inference tensor, which training refuses to differentiate through.
            with torch.inference_mode(False):
                self.rows = sinusoids(torch.arange(1.0 - reach, reach, device=self.rows.device), self.dim)
        return self.rows[start + reach - 1 : stop + reach - 1].to(like.dtype)


def make_position(name: Position, dim: int, num_heads: int, dropout: float = 0.0) -> NoPosition:
    """The position module called ``name`` for a model of dimension ``dim`` with ``num_heads`` heads.

    Raises:
        ValueError: an unknown name, or an odd dimension where sine and cosine need pairs.
    """
    plain = {
        "relative": RelativePosition,
        "sinusoidal": SinusoidalPosition,
        "convolutional": ConvolutionalPosition,
        "none": NoPosition,
    }
    if name == "rotary":
        return RotaryPosition(dim, dropout, head_dim=dim // num_heads)
    if name not in plain:
        raise ValueError(f"position: expected one of {', '.join(get_args(Position))}, got {name!r}; choose one of them")
    return plain[name](dim, dropout)
