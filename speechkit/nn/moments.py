"""Mean, deviation and range of a quantity in the training data, to normalise it by."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Moments(nn.Module):
    """``z = (x - mean) / std`` with statistics that are counted once, before training, and travel with the weights.

    They are exact over all values given to :meth:`add`, whatever the order and the sizes of the parts (Chan et al., 1979,
    "Updating formulae and a pairwise algorithm for computing sample variances"); the deviation is that of the population.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("squares", torch.zeros((), dtype=torch.float64))  # sum of squared distances from the mean
        self.register_buffer("low", torch.full((), torch.inf, dtype=torch.float64))
        self.register_buffer("high", torch.full((), -torch.inf, dtype=torch.float64))
        self._counted = False

    @property
    def std(self) -> Tensor:
        """Of all values; 0 is taken for 1, so that a constant is 0 when normalised."""
        std = (self.squares / self.count.clamp(min=1)).sqrt()
        return torch.where(std > 0, std, 1.0)

    def reset(self) -> None:
        """Forget everything."""
        for buffer in (self.count, self.mean, self.squares):
            buffer.zero_()
        self.low.fill_(torch.inf)
        self.high.fill_(-torch.inf)
        self._counted = False

    @torch.no_grad()
    def add(self, values: Tensor) -> None:
        """Count ``values`` (N,) in."""
        if values.numel() == 0:
            return
        values = values.to(self.mean)
        total, mean = self.count + values.numel(), values.mean()
        distance = mean - self.mean
        self.squares += (values - mean).square().sum() + distance.square() * self.count * values.numel() / total
        self.mean += distance * values.numel() / total
        self.count.copy_(total)
        self.low.copy_(torch.minimum(self.low, values.min()))
        self.high.copy_(torch.maximum(self.high, values.max()))

    def normalize(self, x: Tensor) -> Tensor:
        """z of ``x`` of any shape, in its type."""
        self._check()
        return ((x - self.mean) / self.std).to(x.dtype)

    def restore(self, z: Tensor) -> Tensor:
        """x of ``z`` of any shape, in its type."""
        self._check()
        return (z * self.std + self.mean).to(z.dtype)

    def _check(self) -> None:
        # Only until it has been seen once: to look at a number makes the host wait for an accelerator.
        self._counted = self._counted or bool(self.count > 0)
        if not self._counted:
            raise ValueError("statistics: expected those of the training data, got none; let the model fit them first")
