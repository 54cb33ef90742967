"""Normalisation that padding cannot touch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskedBatchNorm(nn.Module):
    """Batch normalisation over the valid frames of a padded batch (Ioffe and Szegedy, 2015).

    ``y = weight (x - mean) / sqrt(var + eps) + bias``; mean and (biased) variance are taken over all frames that are
    not padding, so the same utterances give the same result however far they are padded. Evaluation uses the running
    statistics. Equals ``torch.nn.BatchNorm1d`` when nothing is padded.

    Args:
        dim: Channels D.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running statistics, in (0, 1].
    """

    def __init__(self, dim: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Normalise.

        Args:
            x: (B, T, D).
            padding_mask: (B, T) bool, True at padding; None when nothing is padded.

        Returns:
            (B, T, D); padding holds unspecified finite values.
        """
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return torch.addcmul(self.bias - self.running_mean * scale, x, scale)
        valid = None if padding_mask is None else ~padding_mask.unsqueeze(-1)
        mean, var, count = _moments(x, valid)
        with torch.no_grad():
            unbiased = var * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean.float(), self.momentum)
            self.running_var.lerp_(unbiased.float(), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return torch.addcmul(self.bias - mean * scale, x, scale)


def _moments(x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (D,), biased variance (D,) over the frames that are ``valid`` (B, T, 1), and their number."""
    if valid is None:
        var, mean = torch.var_mean(x, dim=(0, 1), correction=0)
        return mean, var, torch.tensor(x.shape[0] * x.shape[1], device=x.device)
    count = valid.sum().clamp(min=1)
    mean = torch.where(valid, x, 0.0).sum(dim=(0, 1)) / count
    var = torch.where(valid, x - mean, 0.0).square().sum(dim=(0, 1)) / count
    return mean, var, count
