"""WaveRNN: a recurrent network over the samples so far."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.sample_by_sample import SampleBySample
from speechkit.models.vocoder.wavernn_loop import WavernnLoop
from speechkit.nn.sample_output import CoarseFineOutput, MuLawOutput, split_bytes
from speechkit.nn.upsampling import Upsampling, upsampling_factors

PARTS = 4  # of the auxiliary features: each is for one layer


class Wavernn(SampleBySample, name="wavernn"):
    """``p(x_t | x_1 ... x_{t-1}, h)`` from recurrent layers (Kalchbrenner et al., 2018, Efficient neural audio synthesis,
    arXiv:1802.08435) in the arrangement of O. McCarthy (github.com/fatchord/WaveRNN)::

        x = W [x_{t-1}, m, a_1];  x += GRU(x);  x += GRU([x, a_2]);  x = relu(W [x, a_3]);  x = relu(W [x, a_4])

    with the upsampled features m, and a what a residual network over frames makes of them. A sample is a softmax over mu-law
    codes, or two over bytes as in the paper: the fine one hears the coarse byte.

    Differs from the paper: both bytes come from the same state, which needs no second pass through the GRU; the weights are
    dense. Differs from McCarthy's: layer norms in the residual network in place of batch norms, which would hear the batch.
    """

    class Config(SampleBySample.Config):
        """Options of WaveRNN."""

        output: Literal["mu_law", "coarse_fine"] = "mu_law"
        """What a sample is drawn from: a softmax over mu-law codes, or two over the bytes of 16 bits."""
        bits: int = Field(9, ge=2, le=12)
        """Of a mu-law code."""
        dim: int = Field(512, ge=1)
        """Cells of each GRU."""
        hidden_dim: int = Field(512, ge=1)
        """Channels of the layers behind them."""
        aux_dim: int = Field(128, ge=PARTS, multiple_of=PARTS)
        """Channels of the network over frames; a quarter goes to each layer."""
        num_blocks: int = Field(10, ge=0)
        """Residual blocks of that network."""
        context: int = Field(2, ge=0)
        """Frames on each side of its own that it sees."""

    def __init__(self, config: Config, given: VocoderInput) -> None:
        super().__init__(config, given)
        self.output = MuLawOutput(config.bits) if config.output == "mu_law" else CoarseFineOutput()
        part = config.aux_dim // PARTS
        self.cond_dim = given.feat_dim + config.aux_dim
        self.aux = FrameNetwork(given.feat_dim, config.aux_dim, config.num_blocks, config.context)
        self.upsampling = Upsampling(upsampling_factors(given.hop_length))
        self.input = nn.Linear(self.output.num_inputs + given.feat_dim + part, config.dim)
        self.first = nn.GRU(config.dim, config.dim, batch_first=True)
        self.second = nn.GRU(config.dim + part, config.dim, batch_first=True)
        self.third = nn.Linear(config.dim + part, config.hidden_dim)
        self.fourth = nn.Linear(config.hidden_dim + part, config.hidden_dim)
        self.head = CoarseFineHead(config.hidden_dim) if config.output == "coarse_fine" else None
        self.out = nn.Linear(config.hidden_dim, self.output.width) if self.head is None else None

    def condition(self, feats: Tensor) -> Tensor:
        """See :meth:`SampleBySample.condition`."""
        aux = self.aux(feats).repeat_interleave(self.given.hop_length, dim=1)
        return torch.cat([self.upsampling(feats), aux], dim=-1)

    def predict(self, cond: Tensor, wav: Tensor) -> Tensor:
        """See :meth:`SampleBySample.predict`."""
        before = self.output.inputs(F.pad(wav, (1, 0))[:, :-1])
        local, aux = cond.split([self.given.feat_dim, self.config.aux_dim], dim=-1)
        one, two, three, four = aux.chunk(PARTS, dim=-1)
        x = self.input(torch.cat([before, local, one], dim=-1))
        x = x + self.first(x)[0]
        x = x + self.second(torch.cat([x, two], dim=-1))[0]
        x = F.relu(self.third(torch.cat([x, three], dim=-1)))
        x = F.relu(self.fourth(torch.cat([x, four], dim=-1)))
        return self.out(x) if self.head is None else self.head(x, split_bytes(wav)[0])

    def make_loop(self) -> WavernnLoop:
        """See :meth:`SampleBySample.make_loop`."""
        return WavernnLoop(self)


class FrameNetwork(nn.Module):
    """A convolution over neighbouring frames, then residual blocks of two pointwise layers.

    Args:
        in_dim: F.
        dim: Channels of all layers.
        num_blocks: Residual blocks.
        context: Frames on each side that the convolution sees.
    """

    def __init__(self, in_dim: int, dim: int, num_blocks: int, context: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_dim, dim, 2 * context + 1, padding=context)
        self.norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, dim), nn.LayerNorm(dim), nn.ReLU(), nn.Linear(dim, dim), nn.LayerNorm(dim))
            for _ in range(num_blocks)
        )
        self.out = nn.Linear(dim, dim)

    def forward(self, feats: Tensor) -> Tensor:
        """Map ``feats`` (B, T, F), without padding, to (B, T, dim)."""
        x = F.relu(self.norm(self.conv(feats.transpose(1, 2)).transpose(1, 2)))
        for block in self.blocks:
            x = x + block(x)
        return self.out(x)


class CoarseFineHead(nn.Module):
    """Logits of the coarse byte, and of the fine byte given the coarse one.

    Args:
        dim: Channels before it.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.coarse = nn.Linear(dim, 256)
        self.heard = nn.Embedding(256, dim)
        self.hidden = nn.Linear(dim, dim)
        self.fine = nn.Linear(dim, 256)

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        """Logits (B, L, 512) of ``x`` (B, L, dim) and the coarse bytes (B, L)."""
        return torch.cat([self.coarse(x), self.fine(F.relu(self.hidden(x) + self.heard(coarse)))], dim=-1)
