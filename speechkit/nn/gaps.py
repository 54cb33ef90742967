"""Straight lines through what is missing in a contour."""

from __future__ import annotations

import torch
from torch import Tensor


def fill_gaps(values: Tensor, known: Tensor) -> Tensor:
    """Linear interpolation between the nearest known values; before the first and behind the last one it stays level.

    So FastSpeech 2 makes the pitch of voiced frames a contour over all frames (Ren et al., 2021, arXiv:2006.04558, section
    2.3).

    Args:
        values: (B, T), T >= 1; what is not known does not matter.
        known: (B, T) bool.

    Returns:
        (B, T); 0 in a row of which nothing is known.
    """
    last = values.shape[1] - 1
    place = torch.arange(values.shape[1], device=values.device).expand_as(values)
    before = place.where(known, -1).cummax(1).values
    after = place.where(known, last + 1).flip(1).cummin(1).values.flip(1)
    left, right = before.where(before >= 0, after).clamp(max=last), after.where(after <= last, before).clamp(min=0)
    share = (place - left).to(values.dtype) / (right - left).clamp(min=1)
    values = values.where(known, 0.0)
    return torch.lerp(values.gather(1, left), values.gather(1, right), share)
