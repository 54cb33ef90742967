"""From tokens to frames and back: repeat what a token has for as long as it lasts, average over the frames that it has."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from speechkit.utils.lens import padding_mask

Rounding = Literal["half_up", "keep_total"]


def round_durations(
    durations: Tensor, token_lens: Tensor, alpha: float = 1.0, rounding: Rounding = "half_up", minimum: int = 0
) -> Tensor:
    """Whole frames from durations that are none yet, or that shall change (Ren et al., 2019, FastSpeech, arXiv:1905.09263,
    section 3.2).

    ``half_up`` rounds each duration alone, ``floor(alpha d + 1/2)``: [2, 2, 3, 1] becomes [3, 3, 4, 1] with alpha 1.3 and
    [1, 1, 2, 1] with 0.5, as in the paper. (``torch.round`` rounds 0.5 to 0, and the last token would be lost.)
    ``keep_total`` rounds the times at which tokens end, so that no end is off by more than half a frame and the whole takes
    ``floor(alpha sum d + 1/2)`` frames.

    Args:
        durations: (B, U) frames, real or integer, at least 0; what lies at padding does not matter.
        token_lens: (B,) int64.
        alpha: Factor of all durations; 2 is half as fast.
        rounding: What is rounded.
        minimum: Frames of every token at least. With ``keep_total`` they are taken from the tokens behind it.

    Returns:
        (B, U) int64, 0 at padding.
    """
    padding = padding_mask(token_lens, durations.shape[1])
    scaled = (durations.double() * alpha).masked_fill(padding, 0.0)
    if rounding == "half_up":
        whole = (scaled + 0.5).floor().clamp(min=minimum)
    else:
        least = minimum * torch.arange(1, durations.shape[1] + 1, device=durations.device)
        ends = (scaled.cumsum(1) + 0.5).floor() - least
        ends = ends.cummax(1).values.clamp(min=0) + least if ends.numel() else ends
        whole = ends.diff(dim=1, prepend=ends.new_zeros(len(ends), 1))
    return whole.long().masked_fill(padding, 0)


def regulate_length(
    x: Tensor, x_lens: Tensor, durations: Tensor, num_frames: int | None = None
) -> tuple[Tensor, Tensor]:
    """Repeat each token's vector as many times as it has frames (FastSpeech's length regulator, equation 1).

    Args:
        x: (B, U, D).
        x_lens: (B,) int64 tokens.
        durations: (B, U) int64 frames, at least 0; what lies at padding does not matter.
        num_frames: T, not less than any sum of durations; their largest sum unless given. On a GPU the host need not wait for
            the durations if it is.

    Returns:
        (B, T, D), 0 at padding, and the lengths (B,) int64, which are the sums of the durations.
    """
    tokens, lens = frame_tokens(durations, x_lens, num_frames)
    rows = torch.arange(len(x), device=x.device).unsqueeze(1) * x.shape[1]
    # Rows of a matrix are copied, and their gradients added, 10 times faster than by `gather`.
    out = x.flatten(0, 1).index_select(0, (rows + tokens).flatten()).view(*tokens.shape, x.shape[2])
    return out.masked_fill(padding_mask(lens, tokens.shape[1]).unsqueeze(2), 0.0), lens


def frame_tokens(durations: Tensor, token_lens: Tensor, num_frames: int | None = None) -> tuple[Tensor, Tensor]:
    """The token of each frame.

    Args:
        durations: (B, U) int64 frames, U >= 1.
        token_lens: (B,) int64.
        num_frames: T; see :func:`regulate_length`.

    Returns:
        (B, T) int64, U - 1 at padding, and the lengths (B,) int64.
    """
    num_tokens = durations.shape[1]
    ends = durations.masked_fill(padding_mask(token_lens, num_tokens), 0).cumsum(1)
    lens = ends[:, -1]
    frames = torch.arange(int(lens.max()) if num_frames is None else num_frames, device=durations.device)
    # Frame t belongs to the first token that ends behind it: as many tokens are over as ends are <= t.
    tokens = torch.searchsorted(ends, frames.expand(len(ends), -1).contiguous(), right=True)
    return tokens.clamp(max=num_tokens - 1), lens


def average_by_durations(values: Tensor, token_lens: Tensor, durations: Tensor, chosen: Tensor | None = None) -> Tensor:
    """The mean over each token's frames, as FastPitch takes of the pitch (Lancucki, 2021, arXiv:2006.06873, section 2).

    Args:
        values: (B, T, F) of frames; T is not less than any sum of durations.
        token_lens: (B,) int64.
        durations: (B, U) int64 frames.
        chosen: (B, T) bool, which frames count: those that are voiced, for pitch; None for all.

    Returns:
        (B, U, F); 0 for a token none of whose frames counts.
    """
    batch, num_frames, dim = values.shape
    num_tokens = durations.shape[1]
    tokens, lens = frame_tokens(durations, token_lens, num_frames)
    counts = ~padding_mask(lens, num_frames)
    if chosen is not None:
        counts = counts & chosen
    index = (torch.arange(batch, device=values.device).unsqueeze(1) * num_tokens + tokens).flatten()
    sums = values.new_zeros(batch * num_tokens, dim)
    sums = sums.index_add(0, index, values.masked_fill(~counts.unsqueeze(2), 0.0).flatten(0, 1))
    number = values.new_zeros(batch * num_tokens).index_add(0, index, counts.flatten().to(values.dtype))
    return (sums / number.clamp(min=1).unsqueeze(1)).view(batch, num_tokens, dim)
