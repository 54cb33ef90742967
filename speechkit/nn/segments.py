"""Pieces of padded sequences, all equally long, for networks that cannot afford the whole."""

from __future__ import annotations

import torch
from torch import Tensor


def random_starts(lens: Tensor, num_frames: int) -> Tensor:
    """Where to cut ``num_frames`` out of utterances of ``lens`` (B,) frames: (B,) int64, each place equally likely; 0 for
    those that are shorter."""
    places = (lens - num_frames).clamp(min=0) + 1
    drawn = torch.rand(len(lens), device=lens.device, dtype=torch.float64)
    return (drawn * places).long()


def take_segments(x: Tensor, starts: Tensor, length: int, lens: Tensor | None = None) -> Tensor:
    """Cut a piece out of each sequence.

    Of frames of ``hop`` samples, frame s of a piece is at its samples ``s * hop`` if both are cut alike:
    ``take_segments(wav, hop * starts, hop * length)``.

    Args:
        x: (B, T, ...).
        starts: (B,) int64 in [0, T], where each begins.
        length: N, of each.
        lens: (B,) int64, where each sequence ends; None if its padding is silent already.

    Returns:
        (B, N, ...); 0 beyond the end of a sequence, whatever lies there.
    """
    index = starts.unsqueeze(1) + torch.arange(length, device=x.device)  # (B, N)
    beyond = index >= (x.shape[1] if lens is None else lens.unsqueeze(1))
    rows = torch.arange(len(x), device=x.device).unsqueeze(1)
    pieces = x[rows, index.clamp(max=x.shape[1] - 1)]
    return pieces.masked_fill(beyond.view(*beyond.shape, *[1] * (x.ndim - 2)), 0.0)
