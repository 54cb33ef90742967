"""What an attention says about time: durations, and how much it deserves to be believed."""

from __future__ import annotations

import torch
from torch import Tensor

from speechkit.utils.lens import padding_mask


def attention_durations(weights: Tensor, frame_lens: Tensor, token_lens: Tensor) -> tuple[Tensor, Tensor]:
    """Frames of each token, from the teacher's head that looks most like an alignment: that of the highest
    :func:`focus_rate` (Ren et al., 2019, FastSpeech, arXiv:1905.09263, section 3.3).

    A frame belongs to the token to which it attends most: ``d_u = sum_t [argmax_i a_ti = u]``.

    Args:
        weights: (B, N, T, U) of N heads, in all layers; rows sum to 1 over the tokens.
        frame_lens: (B,) int64.
        token_lens: (B,) int64.

    Returns:
        Durations (B, U) int64, 0 at padding, which sum to ``frame_lens`` (nothing, without tokens); and the heads (B,).
    """
    heads = focus_rate(weights, frame_lens, token_lens).argmax(1)
    chosen = weights[torch.arange(len(heads), device=heads.device), heads].unsqueeze(1)
    places, valid = _places(chosen, frame_lens, token_lens)
    durations = torch.zeros(weights.shape[0], weights.shape[3], dtype=torch.int64, device=weights.device)
    durations.scatter_add_(1, places.squeeze(1), (valid & (token_lens > 0).unsqueeze(1)).long())
    return durations, heads


def focus_rate(weights: Tensor, frame_lens: Tensor, token_lens: Tensor) -> Tensor:
    """``F = 1 / T sum_t max_u a_tu``: 1 if every frame knows its token (FastSpeech, section 3.3).

    Args:
        weights: (B, N, T, U); see :func:`attention_durations`. All functions below have the same arguments.
        frame_lens: (B,) int64.
        token_lens: (B,) int64.

    Returns:
        (B, N) in [0, 1].
    """
    return _mean(_visible(weights, token_lens).amax(3), frame_lens)


def diagonal_rate(weights: Tensor, frame_lens: Tensor, token_lens: Tensor, width: float = 0.1) -> Tensor:
    """The mean attention within a band around the diagonal, ``|(t + 1/2) / T - (u + 1/2) / U| <= width`` (Chen et al., 2020,
    MultiSpeech, arXiv:2006.04664, section 3.1).

    Differs from the paper: the band is in shares of the utterance, as wide for long texts as for short ones.

    Args:
        weights: (B, N, T, U).
        frame_lens: (B,) int64.
        token_lens: (B,) int64.
        width: Half the width of the band, as a share of the utterance.

    Returns:
        (B, N) in [0, 1].
    """
    frames = _shares(frame_lens, weights.shape[2]).unsqueeze(2)  # (B, T, 1)
    tokens = _shares(token_lens, weights.shape[3]).unsqueeze(1)  # (B, 1, U)
    near = (frames - tokens).abs() <= width + 1e-6
    return _mean((_visible(weights, token_lens) * near.unsqueeze(1)).sum(3), frame_lens)


def monotonic_rate(weights: Tensor, frame_lens: Tensor, token_lens: Tensor) -> Tensor:
    """The share of the steps from frame to frame at which the token attended to most is the same or the next one.

    Args:
        weights: (B, N, T, U).
        frame_lens: (B,) int64.
        token_lens: (B,) int64.

    Returns:
        (B, N) in [0, 1]; 1 for an utterance of one frame.
    """
    places, valid = _places(weights, frame_lens, token_lens)
    moves = places.diff(dim=2)
    good = ((moves == 0) | (moves == 1)) & valid[:, 1:].unsqueeze(1)
    steps = (frame_lens - 1).unsqueeze(1)
    return torch.where(steps > 0, good.sum(2) / steps.clamp(min=1), 1.0)


def coverage(weights: Tensor, frame_lens: Tensor, token_lens: Tensor) -> Tensor:
    """The share of the tokens to which some frame attends most: what is missing was probably not said.

    Args:
        weights: (B, N, T, U).
        frame_lens: (B,) int64.
        token_lens: (B,) int64.

    Returns:
        (B, N) in [0, 1]; 0 for an utterance without tokens.
    """
    places, valid = _places(weights, frame_lens, token_lens)
    counts = torch.zeros(weights.shape[0], weights.shape[1], weights.shape[3], dtype=torch.int64, device=weights.device)
    counts.scatter_add_(2, places, valid.unsqueeze(1).expand_as(places).long())
    within = ~padding_mask(token_lens, weights.shape[3]).unsqueeze(1)
    return ((counts > 0) & within).sum(2) / token_lens.clamp(min=1).unsqueeze(1)


def _visible(weights: Tensor, token_lens: Tensor) -> Tensor:
    """The weights in float32, 0 at padding of the tokens."""
    return weights.float().masked_fill(padding_mask(token_lens, weights.shape[3])[:, None, None], 0.0)


def _places(weights: Tensor, frame_lens: Tensor, token_lens: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N, T) int64, to which token each frame attends most, and (B, T) bool, which frames are none of padding."""
    hidden = padding_mask(token_lens, weights.shape[3])[:, None, None]
    return weights.masked_fill(hidden, -1.0).argmax(3), ~padding_mask(frame_lens, weights.shape[2])


def _mean(values: Tensor, frame_lens: Tensor) -> Tensor:
    """(B, N) means of (B, N, T) over the frames; 0 without any."""
    padding = padding_mask(frame_lens, values.shape[2]).unsqueeze(1)
    return values.masked_fill(padding, 0.0).sum(2) / frame_lens.clamp(min=1).unsqueeze(1)


def _shares(lens: Tensor, length: int) -> Tensor:
    """(B, length) middles of the places, as shares of the whole."""
    return (torch.arange(length, device=lens.device) + 0.5) / lens.clamp(min=1).unsqueeze(1)
