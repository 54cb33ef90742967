"""Gaussian frames with a mean and a deviation for each number: their likelihood, the divergence of two, and noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from speechkit.nn.flow import zero_padding


def gaussian_nats(z: Tensor, means: Tensor, log_stds: Tensor, padding_mask: Tensor | None = None) -> Tensor:
    """``-log N(z; mean, std^2) = sum [log 2 pi / 2 + log std + (z - mean)^2 / (2 std^2)]`` over the valid frames.

    Args:
        z: (B, T, D).
        means: (B, T, D).
        log_stds: (B, T, D) natural logarithms.
        padding_mask: (B, T) bool, True at padding, which is not counted; None when nothing is padded.

    Returns:
        (B,) nats, float32 at least.
    """
    z, means, log_stds = (_precise(each) for each in (z, means, log_stds))
    nats = 0.5 * math.log(2 * math.pi) + log_stds + 0.5 * (z - means).square() * torch.exp(-2 * log_stds)
    return zero_padding(nats, padding_mask).sum((1, 2))


def sampled_divergence(
    z: Tensor, posterior_log_stds: Tensor, means: Tensor, log_stds: Tensor, padding_mask: Tensor | None = None
) -> Tensor:
    """An estimate of ``KL(q || p)`` from one z drawn from q (Kim et al., 2021, VITS, arXiv:2106.06103, equations 3 and 4).

    ``sum [log s_p - log s_q - 1/2 + (f(z) - m_p)^2 / (2 s_p^2)]``, where q is ``N(m_q, s_q^2)`` and p is ``N(m_p, s_p^2)``
    after a flow f that keeps volumes. ``E_q log q`` is taken in closed form, ``E_q log p`` from the one draw; so the
    estimate is right on average and may be negative: for q = p and without a flow it has mean 0.

    Args:
        z: (B, T, D) f(z): the draw, as the flow maps it.
        posterior_log_stds: (B, T, D) ``log s_q``.
        means: (B, T, D) ``m_p``.
        log_stds: (B, T, D) ``log s_p``.
        padding_mask: (B, T) bool, True at padding, which is not counted; None when nothing is padded.

    Returns:
        (B,) nats, float32 at least.
    """
    z, posterior_log_stds, means, log_stds = (_precise(each) for each in (z, posterior_log_stds, means, log_stds))
    nats = log_stds - posterior_log_stds - 0.5 + 0.5 * (z - means).square() * torch.exp(-2 * log_stds)
    return zero_padding(nats, padding_mask).sum((1, 2))


def draw_noise(like: Tensor, lens: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise, which does not depend on how far the utterances are padded.

    Args:
        like: (B, T, D), whose shape, type and device the noise has.
        lens: (B,) int64.
        generator: Where it comes from; None for torch's own.

    Returns:
        (B, T, D), 0 at padding.
    """
    device = like.device if generator is None else generator.device
    out = torch.zeros_like(like)
    for row, length in zip(out, lens.tolist(), strict=True):
        row[:length] = torch.randn(length, like.shape[2], generator=generator, device=device, dtype=like.dtype)
    return out


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
