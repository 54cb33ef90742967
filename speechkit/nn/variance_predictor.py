"""Predicts a number for each token: its duration, pitch or energy."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from speechkit.nn.dropout import Dropout
from speechkit.nn.length_regulator import Rounding, round_durations
from speechkit.nn.time_conv import TimeConv
from speechkit.utils.lens import padding_mask

DurationDomain = Literal["log1p", "log"]


class VariancePredictor(nn.Module):
    """Layers of convolution, ReLU, layer norm and dropout, and a projection to one number (Ren et al., 2019, FastSpeech,
    arXiv:1905.09263, section 3.3; 2021, FastSpeech 2, arXiv:2006.04558, section 2.3).

    Args:
        in_dim: Width D of the encodings.
        hidden_dim: Channels of the convolutions.
        num_layers: Convolutions.
        kernel_size: Their taps, in tokens.
        dropout: Dropout probability, in [0, 1).
    """

    def __init__(
        self, in_dim: int, hidden_dim: int = 256, num_layers: int = 2, kernel_size: int = 3, dropout: float = 0.5
    ) -> None:
        super().__init__()
        widths = [in_dim] + [hidden_dim] * num_layers
        self.convs = nn.ModuleList(TimeConv(*pair, kernel_size) for pair in pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_dim) for _ in range(num_layers))
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(widths[-1], 1)

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """Predict.

        Args:
            x: (B, U, D).
            x_lens: (B,) int64.

        Returns:
            (B, U), 0 at padding.
        """
        padding = padding_mask(x_lens, x.shape[1])
        for conv, norm in zip(self.convs, self.norms):
            x = self.dropout(norm(conv(x, padding).relu()))
        return self.out(x).squeeze(2).masked_fill(padding, 0.0)


def log_durations(durations: Tensor, domain: DurationDomain = "log1p") -> Tensor:
    """What a predictor of durations is trained to say.

    Args:
        durations: (B, U) frames.
        domain: ``log1p`` is ``ln(1 + d)``; ``log`` is ``ln d``, for durations of at least one frame (less counts as one).

    Returns:
        (B, U) float32, or float64 for durations of that type.
    """
    durations = durations if durations.dtype == torch.float64 else durations.float()
    return durations.log1p() if domain == "log1p" else durations.clamp(min=1).log()


def durations_from_logs(
    logs: Tensor,
    token_lens: Tensor,
    alpha: float = 1.0,
    domain: DurationDomain = "log1p",
    rounding: Rounding = "half_up",
    minimum: int = 0,
    maximum: int = 1000,
) -> Tensor:
    """Whole frames from what a predictor says: the inverse of :func:`log_durations`, scaled and rounded.

    Args:
        logs: (B, U) in the given domain; what lies at padding does not matter.
        token_lens: (B,) int64.
        alpha: Factor of all durations; 2 is half as fast.
        domain: As in :func:`log_durations`.
        rounding: See :func:`speechkit.nn.length_regulator.round_durations`.
        minimum: Frames of every token at least.
        maximum: Frames of a token at most, before ``alpha``. A predictor that has not learned much yet may ask for more than
            there is memory.

    Returns:
        (B, U) int64, 0 at padding.
    """
    durations = logs.double().expm1() if domain == "log1p" else logs.double().exp()
    return round_durations(durations.clamp(0, maximum), token_lens, alpha, rounding, minimum)
