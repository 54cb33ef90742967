"""Pieces of padded sequences."""

from __future__ import annotations

import torch
from torch import Tensor


def take_segments(x: Tensor, starts: Tensor, length: int) -> Tensor:
    """Equally long pieces, one of each sequence.

    Args:
        x: (B, T, ...).
        starts: (B,) int64 in [0, T], where each begins.
        length: N, of each.

    Returns:
        (B, N, ...); 0 beyond the end of ``x``.
    """
    index = starts.unsqueeze(1) + torch.arange(length, device=x.device)  # (B, N)
    beyond = index >= x.shape[1]
    rows = torch.arange(len(x), device=x.device).unsqueeze(1)
    pieces = x[rows, index.clamp(max=x.shape[1] - 1)]
    return pieces.masked_fill(beyond.view(*beyond.shape, *[1] * (x.ndim - 2)), 0.0)
