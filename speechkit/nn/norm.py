"""Normalisation that padding cannot touch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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
        if not self.training or (padding_mask is None and x.shape[:2].numel() > 1):
            return self._normalise_all(x)
        mean, var, count = _moments(x, padding_mask)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1).clamp(min=1)), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return torch.addcmul(self.bias - mean * scale, x, scale).to(x.dtype)

    def _normalise_all(self, x: Tensor) -> Tensor:
        # As (B T, D), because torch's kernel for three axes wants the channels second.
        rows = F.batch_norm(
            x.flatten(0, 1),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
        return rows.view(x.shape)


def _moments(x: Tensor, padding_mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (D,) and biased variance (D,), in float32 at least, over the frames that are no padding, and their number."""
    if padding_mask is None:
        padding_mask = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
    valid = ~padding_mask.unsqueeze(-1)  # (B, T, 1)
    x = x if x.dtype == torch.float64 else x.float()
    count = valid.sum().clamp(min=1)
    mean = torch.where(valid, x, 0.0).sum(dim=(0, 1)) / count
    var = torch.where(valid, x - mean, 0.0).square().sum(dim=(0, 1)) / count
    return mean, var, count
