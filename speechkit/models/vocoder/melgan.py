"""The generator of MelGAN."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.upsampling import UpsamplingGenerator
from speechkit.nn.padding import reflect_pad
from speechkit.nn.transposed_convolution import TransposedConv

SLOPE = 0.2  # of the leaky ReLUs


class MelGan(UpsamplingGenerator, name="melgan"):
    """Transposed convolutions, each followed by a stack of dilated residual blocks (Kumar et al., 2019, MelGAN,
    arXiv:1910.06711, figure 1a and appendix A).

    The dilations grow threefold, so that the field of three blocks of kernel 3 has no gaps: it spans 27 samples of the stage.

    Differs from the paper: rates are chosen for other hop lengths than 256.
    """

    class Config(UpsamplingGenerator.Config):
        """Options of the generator of MelGAN."""

        dim: int = Field(32, ge=1)
        """Channels behind the last stage; each stage has half as many as that before it."""
        num_blocks: int = Field(3, ge=1)
        """Residual blocks behind each stage; block j has the dilation 3^j."""

    def __init__(self, config: Config, given: VocoderInput) -> None:
        super().__init__(config, given)
        widths = [config.dim << i for i in range(len(self.rates), 0, -1)]
        self.conv_in = nn.Conv1d(given.feat_dim, config.dim << len(self.rates), 7)
        self.upsample = nn.ModuleList(
            TransposedConv(dim, dim // 2, rate) for dim, rate in zip(widths, self.rates, strict=True)
        )
        self.stacks = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(dim // 2, 3**j) for j in range(config.num_blocks))) for dim in widths
        )
        self.conv_out = nn.Conv1d(config.dim, 1, 7)
        self.finish()

    def forward(self, feats: Tensor, noise: Tensor | None = None) -> Tensor:
        """Samples (B, T * hop_length) of segments (B, T, F); see :meth:`WaveGenerator.forward`."""
        x = self.conv_in(reflect_pad(feats.transpose(1, 2), 3, 3))  # (B, D, T)
        for upsample, stack in zip(self.upsample, self.stacks, strict=True):
            x = stack(upsample(F.leaky_relu(x, SLOPE)))
        x = reflect_pad(F.leaky_relu(x, SLOPE), 3, 3)
        return self.conv_out(x).tanh().squeeze(1)


class ResidualBlock(nn.Module):
    """``shortcut(x) + pointwise(leaky(dilated(leaky(x))))``, mirrored at the ends."""

    def __init__(self, dim: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.dilated = nn.Conv1d(dim, dim, 3, dilation=dilation)
        self.pointwise = nn.Conv1d(dim, dim, 1)
        self.shortcut = nn.Conv1d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, D, T) to (B, D, T)."""
        y = self.dilated(reflect_pad(F.leaky_relu(x, SLOPE), self.dilation, self.dilation))
        return self.shortcut(x) + self.pointwise(F.leaky_relu(y, SLOPE))
