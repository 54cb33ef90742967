"""Losses of predicted numbers and densities, one per utterance, in which padding does not count.

All take predictions (B, T) or (B, T, F) with lengths (B,), compute in float32 at least, and give (B,): 0, without gradient, for
an utterance of length 0. What lies at padding does not matter, even if it is not finite.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.utils.lens import padding_mask

Per = Literal["value", "frame", "utterance"]
"""What a loss is per: the mean over all numbers of an utterance (value), their sum over F and mean over T (frame), or the sum over
both (utterance)."""


def l1(predicted: Tensor, target: Tensor, lens: Tensor, per: Per = "value") -> Tensor:
    """``|x - y|``.

    Args:
        predicted: (B, T) or (B, T, F).
        target: Of the same shape.
        lens: (B,) int64.
        per: What it is per.

    Returns:
        (B,)
    """
    predicted, target = _valid(lens, predicted, target)
    return _total((predicted - target).abs(), lens, per)


def mse(predicted: Tensor, target: Tensor, lens: Tensor, per: Per = "value") -> Tensor:
    """``(x - y)^2``; arguments as those of :func:`l1`."""
    predicted, target = _valid(lens, predicted, target)
    return _total((predicted - target).square(), lens, per)


def bce(logits: Tensor, target: Tensor, lens: Tensor, positive_weight: float = 1.0, per: Per = "value") -> Tensor:
    """``-w y log sigmoid(x) - (1 - y) log (1 - sigmoid(x))``, in nats.

    Args:
        logits: (B, T) or (B, T, F).
        target: Of the same shape, in [0, 1] or bool.
        lens: (B,) int64.
        positive_weight: w, the weight of what is true: of one frame that is the last, among many that are not.
        per: What it is per.

    Returns:
        (B,)
    """
    logits, target = _valid(lens, logits, target)
    weight = torch.full((), positive_weight, dtype=logits.dtype, device=logits.device)
    return _total(F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="none"), lens, per)


def stop_targets(lens: Tensor, num_frames: int) -> Tensor:
    """(B, T) bool, True at the last frame of each utterance and behind it: when a decoder should stop."""
    return torch.arange(1, num_frames + 1, device=lens.device) >= lens.unsqueeze(1)


def gaussian_nll(x: Tensor, mean: Tensor, log_std: Tensor, lens: Tensor, per: Per = "value") -> Tensor:
    """``-log N(x; mean, std^2) = 1/2 log 2 pi + log std + (x - mean)^2 / (2 std^2)``, in nats.

    Args:
        x: (B, T) or (B, T, F).
        mean: Of the same shape, as the next.
        log_std: Natural logarithms of the standard deviations.
        lens: (B,) int64.
        per: What it is per.

    Returns:
        (B,)
    """
    x, mean, log_std = _valid(lens, x, mean, log_std)
    nats = 0.5 * math.log(2 * math.pi) + log_std + 0.5 * ((x - mean) * torch.exp(-log_std)).square()
    return _total(nats.masked_fill(_mask(lens, nats), 0.0), lens, per)


def gaussian_kl(
    mean: Tensor, log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor, lens: Tensor, per: Per = "value"
) -> Tensor:
    """``KL(N(m, s^2) || N(m', s'^2)) = log (s' / s) + (s^2 + (m - m')^2) / (2 s'^2) - 1/2``, in nats.

    Args:
        mean: m (B, T) or (B, T, F).
        log_std: log s, of the same shape, as the next two.
        prior_mean: m'.
        prior_log_std: log s'.
        lens: (B,) int64.
        per: What it is per.

    Returns:
        (B,)
    """
    mean, log_std, prior_mean, prior_log_std = _valid(lens, mean, log_std, prior_mean, prior_log_std)
    ratio = log_std - prior_log_std
    distance = (mean - prior_mean) * torch.exp(-prior_log_std)
    # (s / s')^2 - 1 without the cancellation that equal deviations would bring.
    return _total(0.5 * (torch.expm1(2 * ratio) + distance.square()) - ratio, lens, per)


def _mask(lens: Tensor, x: Tensor) -> Tensor:
    padding = padding_mask(lens, x.shape[1])
    return padding if x.ndim == 2 else padding.unsqueeze(2)


def _valid(lens: Tensor, first: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """The tensors in one type of 32 bits or more, 0 at padding."""
    if any(each.shape != first.shape for each in others):  # broadcasting would compare everything with everything
        shapes = ", ".join(str(tuple(each.shape)) for each in others)
        raise ValueError(f"predictions and targets: expected equal shapes, got {tuple(first.shape)} and {shapes}; look at axes")
    dtype = torch.promote_types(first.dtype, torch.float32)
    mask = _mask(lens, first)
    return tuple(each.to(dtype).masked_fill(mask, 0.0) for each in (first, *others))


def _total(errors: Tensor, lens: Tensor, per: Per) -> Tensor:
    """(B,) from errors (B, T) or (B, T, F)."""
    total = errors.masked_fill(_mask(lens, errors), 0.0).flatten(1).sum(1)
    if per == "utterance":
        return total
    values = errors[0, 0].numel() if per == "value" and errors.numel() else 1
    return total / (lens * values).clamp(min=1)
