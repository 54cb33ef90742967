"""Pieces of utterances, all equally long, for networks that cannot afford the whole."""

from __future__ import annotations

import torch
from torch import Tensor


def random_starts(lens: Tensor, num_frames: int) -> Tensor:
    """Where to cut ``num_frames`` out of utterances of ``lens`` (B,) frames: (B,) int64, each place equally likely; 0 for
    those that are shorter."""
    places = (lens - num_frames).clamp(min=0) + 1
    drawn = torch.rand(len(lens), device=lens.device, dtype=torch.float64)
    return (drawn * places).long()


def take_segments(x: Tensor, lens: Tensor, starts: Tensor, length: int) -> Tensor:
    """Cut a piece out of each utterance.

    Of frames of ``hop`` samples, frame s of a piece is at its samples ``s * hop`` if both are cut alike:
    ``take_segments(wav.unsqueeze(2), hop * lens, hop * starts, hop * length)``.

    Args:
        x: (B, T, D); what lies at padding does not matter.
        lens: (B,) int64.
        starts: (B,) int64.
        length: N.

    Returns:
        (B, N, D), 0 behind the end of an utterance.
    """
    places = starts.unsqueeze(1) + torch.arange(length, device=x.device)  # (B, N)
    rows = torch.arange(len(x), device=x.device).unsqueeze(1)
    pieces = x[rows, places.clamp(max=x.shape[1] - 1)]
    return pieces.masked_fill((places >= lens.unsqueeze(1)).unsqueeze(2), 0.0)
