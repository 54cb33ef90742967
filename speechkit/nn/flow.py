"""Normalizing flows: invertible maps of frames whose log-determinants are known."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Flow(nn.Module):
    """An invertible map of (B, T, D) to (B, T, D).

    By ``log p(x) = log p(y) + log |det dy/dx|`` the likelihood of x is that of its image y. Padding is neither read nor
    counted; what a flow gives there is 0.
    """

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From data towards noise.

        Args:
            x: (B, T, D); what lies at padding does not matter.
            padding_mask: (B, T) bool, True at padding; None when nothing is padded.
            cond: (B, T, C), or (B, 1, C) for all frames alike; flows that know of no condition take no notice of it.

        Returns:
            y (B, T, D), and ``log |det dy/dx|`` (B,) over the valid frames of each utterance, in nats.
        """
        raise NotImplementedError

    def inverse(self, y: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """From noise back to data: the x (B, T, D) that :meth:`forward` maps to ``y``."""
        raise NotImplementedError


class FlowSequence(Flow):
    """One flow after the other; their log-determinants add up.

    Args:
        flows: In the order from data to noise.
    """

    def __init__(self, flows: Iterable[Flow]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.forward`."""
        total = no_log_det(x)
        for flow in self.flows:
            x, log_det = flow(x, padding_mask, cond)
            total = total + log_det
        return x, total

    def inverse(self, y: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """See :meth:`Flow.inverse`."""
        for flow in reversed(self.flows):
            y = flow.inverse(y, padding_mask, cond)
        return y


class Flip(Flow):
    """The channels in reverse order, so that the next coupling changes those that the last one kept; its own inverse."""

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.forward`."""
        return zero_padding(x.flip(-1), padding_mask), no_log_det(x)

    def inverse(self, y: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """See :meth:`Flow.inverse`."""
        return zero_padding(y.flip(-1), padding_mask)


class Log(Flow):
    """``y = ln max(x, floor)``, for what is positive, such as durations (Kim et al., 2021, VITS, appendix B.2).

    Args:
        floor: Below it the map cannot be inverted.
    """

    def __init__(self, floor: float = 1e-5) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.forward`."""
        y = zero_padding(x.clamp(min=self.floor).log(), padding_mask)
        return y, -y.sum((1, 2))

    def inverse(self, y: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """See :meth:`Flow.inverse`."""
        return zero_padding(y.exp(), padding_mask)


class ElementwiseAffine(Flow):
    """``y = m + exp(s) x`` with a learned m and s for each channel, 0 at first.

    Args:
        dim: Channels D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.forward`."""
        y = zero_padding(self.shift + self.log_scale.exp() * x, padding_mask)
        return y, self.log_scale.sum() * num_valid(x, padding_mask)

    def inverse(self, y: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """See :meth:`Flow.inverse`."""
        return zero_padding((y - self.shift) * (-self.log_scale).exp(), padding_mask)


def squeeze(x: Tensor, lens: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Frames side by side: (B, T, D) to (B, T // factor, factor * D), the earlier frame's channels first.

    Frames that do not fill a group are dropped, from each utterance: its length becomes ``lens // factor``.
    """
    batch, num_frames, dim = x.shape
    groups = num_frames // factor
    return x[:, : groups * factor].reshape(batch, groups, factor * dim), lens // factor


def unsqueeze(x: Tensor, lens: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """What :func:`squeeze` put side by side, one after the other: (B, T, factor * D) to (B, factor * T, D)."""
    batch, groups, width = x.shape
    return x.reshape(batch, groups * factor, width // factor), lens * factor


def zero_padding(x: Tensor, padding_mask: Tensor | None) -> Tensor:
    """``x`` (B, T, D) with 0 at padding."""
    return x if padding_mask is None else x.masked_fill(padding_mask.unsqueeze(-1), 0.0)


def num_valid(x: Tensor, padding_mask: Tensor | None) -> Tensor:
    """How many frames of each utterance are no padding: (B,) int64."""
    if padding_mask is None:
        return torch.full((len(x),), x.shape[1], device=x.device)
    return (~padding_mask).sum(1)


def no_log_det(x: Tensor) -> Tensor:
    """(B,) zeros, float32 at least."""
    return torch.zeros(len(x), dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
