"""Mirrored ends, of signals of any length."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.features.framing import Framing

_MIRROR = Framing(window_length=1, hop_length=1, edges="reflect")


def reflect_pad(x: Tensor, left: int, right: int) -> Tensor:
    """``x`` (B, L) or (B, C, L), L >= 1, with its ends mirrored: (..., left + L + right).

    The outermost value is not repeated. Unlike torch's own, this mirrors back and forth where L is shorter than the
    padding, so that the shortest utterance has a result.
    """
    length = x.shape[-1]
    if max(left, right) < length:
        return F.pad(x, (left, right), mode="reflect")
    return x[..., _MIRROR.mirror(torch.arange(-left, length + right, device=x.device), length)]
