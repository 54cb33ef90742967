"""A penalty on attention that is far from the diagonal."""

from __future__ import annotations

import torch
from torch import Tensor

from speechkit.utils.lens import padding_mask


def guided_attention(weights: Tensor, token_lens: Tensor, frame_lens: Tensor, width: float = 0.2) -> Tensor:
    """``sum over n, t of a_nt W_nt`` (Tachibana et al., 2018, arXiv:1710.08969, section 3.2).

    Differs from the paper: a sum over the tokens n, not a mean, so that it goes with a cross entropy in nats; each
    token adds at most 1.

    Args:
        weights: (B, N, T), where each token looks; rows sum to 1 over the frames.
        token_lens: (B,) int64, at most N.
        frame_lens: (B,) int64, at most T.
        width: g.

    Returns:
        (B,)
    """
    return (weights * distance_from_diagonal(token_lens, frame_lens, weights.shape[1], weights.shape[2], width)).sum((1, 2))


def distance_from_diagonal(token_lens: Tensor, frame_lens: Tensor, num_tokens: int, num_frames: int, width: float) -> Tensor:
    """``W_nt = 1 - exp(-(n / N - t / T)^2 / (2 g^2))`` (B, num_tokens, num_frames), 0 at padding."""
    tokens = torch.arange(num_tokens, device=token_lens.device) / token_lens.clamp(min=1).unsqueeze(1)  # (B, N)
    frames = torch.arange(num_frames, device=frame_lens.device) / frame_lens.clamp(min=1).unsqueeze(1)  # (B, T)
    distance = 1 - torch.exp(-((tokens.unsqueeze(2) - frames.unsqueeze(1)) ** 2) / (2 * width**2))
    padding = padding_mask(token_lens, num_tokens).unsqueeze(2) | padding_mask(frame_lens, num_frames).unsqueeze(1)
    return distance.masked_fill(padding, 0.0)
