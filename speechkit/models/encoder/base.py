"""What every encoder is: features with lengths in, vectors with lengths out."""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.nn.subsampling import Subsampling, check_factor, make_subsampling
from speechkit.utils.lens import padding_mask


class Encoder(nn.Module, Component, kind="encoder"):
    """Maps features (B, T, F) to ``encoder_out`` (B, S, D).

    An utterance alone and the same utterance in a padded batch give the same valid frames; what lies at padding is
    unspecified but finite. An utterance too short for one output frame gets length 0 (S is at least 1); only its
    ``encoder_out_lens`` says so, nothing becomes NaN.

    Attributes:
        out_dim: D.
        subsampling_factor: Feature frames per output frame.
    """

    class Config(ComponentConfig):
        """What all encoders share."""

        subsampling: Subsampling = "conv2d"
        """conv2d (strided convolutions), vgg (convolutions and pooling) or stack (neighbouring frames side by side)."""
        subsampling_factor: int = Field(4, ge=1)
        """Feature frames per encoder frame: 2, 4, 6, 8 for conv2d; 2, 4, 8 for vgg; any for stack (1 keeps every frame)."""

        @model_validator(mode="after")
        def _factor_fits(self) -> Self:
            check_factor(self.subsampling, self.subsampling_factor)
            return self

    out_dim: int

    def __init__(self, config: Config, in_dim: int, dim: int) -> None:
        super().__init__()
        self.subsampling = make_subsampling(config.subsampling, in_dim, dim, config.subsampling_factor)
        self.subsampling_factor = config.subsampling_factor

    def output_lens(self, feat_lens: Tensor) -> Tensor:
        """Encoder frames (B,) int64 of utterances with ``feat_lens`` (B,) feature frames; exact."""
        return self.subsampling.output_lens(feat_lens)

    def forward(self, feats: Tensor, feat_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            feats: (B, T, F) float; what lies at padding does not matter.
            feat_lens: (B,) int64, frames of each utterance, at most T.

        Returns:
            ``encoder_out`` (B, S, D) and its lengths (B,) int64.
        """
        x = self.subsampling(feats, mask_if_padded(feat_lens, feats.shape[1]))
        lens = self.output_lens(feat_lens)
        return self.encode(x, lens), lens

    def encode(self, x: Tensor, lens: Tensor) -> Tensor:
        """Encode subsampled frames ``x`` (B, S, dim) with lengths (B,) to (B, S, D)."""
        raise NotImplementedError


def mask_if_padded(lens: Tensor, max_len: int) -> Tensor | None:
    """(B, T) padding mask, or None where nothing is padded, so that layers can skip the masking.

    On an accelerator the mask is always made: to look at the lengths would make the host wait for the device.
    """
    if lens.device.type == "cpu" and not torch.compiler.is_compiling() and bool((lens >= max_len).all()):
        return None
    return padding_mask(lens, max_len)
