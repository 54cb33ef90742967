"""From frames to samples: each frame is repeated, and the steps between them are smoothed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Upsampling(nn.Module):
    """Stage by stage, each frame s times, then one filter of 2 s + 1 taps for all channels, which begins as their mean (as in
    the WaveRNN of O. McCarthy, github.com/fatchord/WaveRNN, and in Parallel WaveGAN).

    Differs from them: beyond the ends the outermost value goes on, so that what does not change in time stays constant.

    Args:
        factors: s of each stage; their product is the number of samples per frame.
    """

    def __init__(self, factors: Sequence[int]) -> None:
        super().__init__()
        self.factors = tuple(factors)
        self.filters = nn.ParameterList(torch.full((1, 1, 2 * s + 1), 1 / (2 * s + 1)) for s in self.factors)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, T, D), T >= 1, without padding, to (B, T * product of the factors, D)."""
        batch, _, dim = x.shape
        rows = x.transpose(1, 2).reshape(batch * dim, 1, -1)
        for factor, taps in zip(self.factors, self.filters):
            rows = F.conv1d(F.pad(rows.repeat_interleave(factor, dim=2), (factor, factor), mode="replicate"), taps)
        return rows.view(batch, dim, -1).transpose(1, 2)


def upsampling_factors(hop_length: int, num_stages: int = 3) -> tuple[int, ...]:
    """At most ``num_stages`` factors of ``hop_length``, as equal as its prime factors allow, the smallest first: 256 is
    4 x 8 x 8, 275 is 5 x 5 x 11."""
    factors = [1] * num_stages
    for prime in sorted(_primes(hop_length), reverse=True):
        factors[factors.index(min(factors))] *= prime
    return tuple(sorted(factor for factor in factors if factor > 1)) or (1,)


def _primes(number: int) -> list[int]:
    found = []
    for candidate in range(2, math.isqrt(number) + 1):
        while number % candidate == 0:
            found.append(candidate)
            number //= candidate
    return found + [number] * (number > 1)
