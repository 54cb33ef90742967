"""Lengths and masks. Lengths travel beside every padded tensor; masks are derived from them where they are needed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def padding_mask(lens: Tensor, max_len: int | None = None) -> Tensor:
    """True at padding.

    Args:
        lens: (B,) absolute lengths.
        max_len: T; the longest length unless given.

    Returns:
        (B, T) bool, True where ``t >= lens[b]``.
    """
    length = int(lens.max()) if max_len is None else max_len
    return torch.arange(length, device=lens.device) >= lens.unsqueeze(1)


def pad_stack(sequences: Sequence[Tensor], value: float = 0.0) -> tuple[Tensor, Tensor]:
    """Stack sequences of different length along a new batch axis.

    Args:
        sequences: B tensors (T_b, ...), equal but for their first axis.
        value: What fills the padding.

    Returns:
        (B, max T_b, ...) and the lengths (B,) int64.
    """
    lens = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
    return torch.nn.utils.rnn.pad_sequence(list(sequences), batch_first=True, padding_value=value), lens
