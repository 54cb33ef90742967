"""SpecAugment: warps time a little and hides stretches of frames and of mel bins, in training."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Config
from speechkit.utils.lens import padding_mask


class SpecAugmentConfig(Config):
    """How much to warp and to hide; 0 turns a part off."""

    time_warp: int = Field(default=5, ge=0)
    """A random point moves by up to this many frames; the frames on both sides stretch and shrink."""
    num_time_masks: int = Field(default=10, ge=0)
    """Stretches of frames to hide."""
    max_time_mask: int = Field(default=100, ge=0)
    """Longest stretch, frames."""
    max_time_ratio: float = Field(default=0.05, ge=0, le=1)
    """Longest stretch as a part of the utterance, so that short ones keep most of their frames."""
    num_freq_masks: int = Field(default=2, ge=0)
    """Bands of mel bins to hide."""
    max_freq_mask: int = Field(default=27, ge=0)
    """Widest band, mel bins."""
    fill: Literal["mean", "zero"] = "mean"
    """What hidden values become: the utterance's mean over all frames and bins, or 0."""


class SpecAugment(nn.Module):
    """SpecAugment (Park et al., 2019), for the whole batch at once and without waiting for the device.

    Time warping: a point c moves to w, and frame t takes what was at ``t c / w`` before w, and in proportion after it.
    Masks: widths are uniform in ``[0, limit]``, then starts are uniform where the mask fits; masks may overlap.

    Differs from the paper: time warping interpolates linearly along time instead of with a thin-plate spline.

    Args:
        config: How much.
    """

    def __init__(self, config: SpecAugmentConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, feats: Tensor, feat_lens: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Augment in training mode; give ``feats`` back as they are otherwise.

        Args:
            feats: (B, T, F).
            feat_lens: (B,) frames.
            generator: Where the randomness comes from, on any device; the same state gives the same result.

        Returns:
            (B, T, F), 0 at padding.
        """
        if not self.training:
            return feats
        draw = _Draw(feat_lens.to(feats.device), generator)
        padding = padding_mask(draw.lens, feats.shape[1]).unsqueeze(-1)
        feats = feats.masked_fill(padding, 0.0)
        if self.config.time_warp > 0:
            feats = self._warp(feats, draw).masked_fill(padding, 0.0)
        fill = feats.new_zeros(len(feats), 1, 1)
        if self.config.fill == "mean":
            fill = feats.sum((1, 2), keepdim=True) / (draw.lens * feats.shape[2]).clamp(min=1).view(-1, 1, 1)
        return torch.where(self._hidden(feats, draw) & ~padding, fill, feats)

    def _hidden(self, feats: Tensor, draw: _Draw) -> Tensor:
        """(B, T, F) bool, True where a mask lies."""
        config, (_, num_frames, feat_dim) = self.config, feats.shape
        longest = (draw.lens * config.max_time_ratio).long().clamp(max=config.max_time_mask)
        frames = draw.masks(config.num_time_masks, longest, draw.lens, num_frames)
        bins = torch.full_like(draw.lens, feat_dim)
        bands = draw.masks(config.num_freq_masks, bins.clamp(max=config.max_freq_mask), bins, feat_dim)
        return frames.unsqueeze(2) | bands.unsqueeze(1)

    def _warp(self, feats: Tensor, draw: _Draw) -> Tensor:
        reach = self.config.time_warp
        lens = draw.lens.unsqueeze(1)  # (B, 1), as all that follows
        centre = reach + 1 + draw.integers(1, lens - 2 * reach - 2)
        target = centre - reach + draw.integers(1, torch.full_like(lens, 2 * reach))
        # Frame t stands for the time from t to t + 1: its middle is at t + 1/2.
        time = torch.arange(feats.shape[1], device=feats.device) + 0.5  # (T,)
        source = torch.where(
            time < target, time * centre / target, lens - (lens - time) * (lens - centre) / (lens - target)
        )
        unmoved = (lens < 2 * reach + 2) | (centre == target)  # an utterance too short to warp stays as it is
        source = torch.where(unmoved, time, source) - 0.5  # (B, T)
        last = (lens - 1).clamp(min=0)
        source = torch.minimum(source.clamp(min=0), last.to(source.dtype))
        below = source.long()
        rows = torch.arange(len(feats), device=feats.device).unsqueeze(1)
        share = (source - below).unsqueeze(-1).to(feats.dtype)
        return torch.lerp(feats[rows, below], feats[rows, torch.minimum(below + 1, last)], share)


class _Draw:
    """Random integers for utterances of ``lens`` (B,) frames."""

    def __init__(self, lens: Tensor, generator: torch.Generator | None) -> None:
        self.lens = lens
        self._generator = generator

    def integers(self, count: int, highest: Tensor) -> Tensor:
        """(B, count) uniform in ``[0, highest]``, for ``highest`` (B, 1) or (B, count); 0 where that is negative."""
        device = self._generator.device if self._generator is not None else highest.device
        uniform = torch.rand(len(self.lens), count, generator=self._generator, device=device).to(highest.device)
        highest = highest.clamp(min=0)
        return torch.minimum((uniform * (highest + 1)).long(), highest)  # rounding up must not leave the range

    def masks(self, count: int, longest: Tensor, lens: Tensor, size: int) -> Tensor:
        """(B, size) bool: the union of ``count`` masks of up to ``longest`` (B,) within ``lens`` (B,)."""
        width = self.integers(count, longest.unsqueeze(1))  # (B, count)
        start = self.integers(count, lens.unsqueeze(1) - width)
        place = torch.arange(size, device=lens.device).view(1, -1, 1)  # (1, size, 1)
        return ((place >= start.unsqueeze(1)) & (place < (start + width).unsqueeze(1))).any(-1)
