"""WaveNet: dilated causal convolutions over the samples so far."""

from __future__ import annotations

from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.sample_by_sample import SampleBySample
from speechkit.models.vocoder.wavenet_loop import WavenetLoop
from speechkit.nn.sample_output import GaussiansOutput, LogisticsOutput, MuLawOutput, SampleOutput
from speechkit.nn.upsampling import Upsampling, upsampling_factors
from speechkit.nn.wavenet import WaveNetStack


class Wavenet(SampleBySample, name="wavenet"):
    """``p(x_t | x_1 ... x_{t-1}, h)`` from a stack of gated dilated causal convolutions (van den Oord et al., 2016,
    arXiv:1609.03499): its skips, summed, go through relu, 1x1, relu, 1x1.

    The features h are local conditions, brought to the sampling rate; the last ``num_global`` of them are global ones.

    Differs from the paper: the first convolution, over codes, has one tap, as in Tacotron 2 (Shen et al., 2018), so that it is
    a table; and samples may be continuous (:class:`~speechkit.nn.sample_output.MixtureOutput`).
    """

    class Config(SampleBySample.Config):
        """Options of WaveNet."""

        output: Literal["mu_law", "logistics", "gaussians"] = "mu_law"
        """What a sample is drawn from: a softmax over mu-law codes, or a mixture of logistics (of 16-bit levels) or of
        Gaussians (of continuous values)."""
        bits: int = Field(8, ge=2, le=12)
        """Of a mu-law code."""
        num_components: int = Field(10, ge=1)
        """Of a mixture; 1 Gaussian is ClariNet's."""
        dim: int = Field(64, ge=1)
        """Channels of the residual connections D; each layer has D filters and D gates."""
        skip_dim: int = Field(256, ge=1)
        """Channels of the skips, and of the layer behind them."""
        kernel_size: int = Field(2, ge=2)
        """Taps of each convolution."""
        num_cycles: int = Field(3, ge=1)
        """How often the dilations begin again at 1."""
        cycle_length: int = Field(10, ge=1)
        """Layers per cycle, with dilations 1, 2, 4 ..."""
        cond_dim: int = Field(80, ge=1)
        """Channels of the local conditions."""
        context: int = Field(2, ge=0)
        """Frames on each side of its own that a sample's condition knows of, before smoothing."""
        num_global: int = Field(0, ge=0)
        """How many of the features, the last ones, describe the whole utterance (such as a speaker's vector) and are the same
        in every frame."""

        @model_validator(mode="after")
        def _memory_is_bounded(self) -> Self:
            if self.cycle_length > 20:
                raise ValueError(f"cycle_length: expected at most 20, got {self.cycle_length}; use more cycles")
            return self

    def __init__(self, config: Config, given: VocoderInput) -> None:
        super().__init__(config, given)
        local_dim = given.feat_dim - config.num_global
        if local_dim < 1:
            raise ValueError(f"num_global: expected less than the {given.feat_dim} features, got {config.num_global}")
        self.output = _make_output(config)
        self.cond_dim = config.cond_dim + config.num_global
        self.context = nn.Conv1d(local_dim, config.cond_dim, 2 * config.context + 1, padding=config.context)
        self.upsampling = Upsampling(upsampling_factors(given.hop_length))
        of_codes = isinstance(self.output, MuLawOutput)
        self.input = nn.Embedding(self.output.width, config.dim) if of_codes else nn.Linear(1, config.dim)
        dilations = [2**i for i in range(config.cycle_length)] * config.num_cycles
        self.stack = WaveNetStack(
            config.dim, dilations, config.kernel_size, self.cond_dim, config.skip_dim, causal=True, weight_norm=False
        )
        self.hidden = nn.Linear(config.skip_dim, config.skip_dim)
        self.out = nn.Linear(config.skip_dim, self.output.width)

    @property
    def receptive_field(self) -> int:
        """How many samples before it a sample depends on."""
        return self.stack.receptive_field

    def condition(self, feats: Tensor) -> Tensor:
        """See :meth:`SampleBySample.condition`."""
        width = feats.shape[2] - self.config.num_global
        local = self.upsampling(self.context(feats[..., :width].transpose(1, 2)).transpose(1, 2))
        whole = feats[:, :1, width:].expand(-1, local.shape[1], -1)  # (B, L, num_global)
        return torch.cat([local, whole], dim=-1)

    def predict(self, cond: Tensor, wav: Tensor) -> Tensor:
        """See :meth:`SampleBySample.predict`."""
        before = F.pad(wav, (1, 0))[:, :-1]
        x = self.input(self.output.codes(before) if isinstance(self.output, MuLawOutput) else self.output.inputs(before))
        skips = self.stack(x, cond=cond)
        return self.out(F.relu(self.hidden(F.relu(skips))))

    def make_loop(self) -> WavenetLoop:
        """See :meth:`SampleBySample.make_loop`."""
        return WavenetLoop(self.output, self.input, self.stack, self.hidden, self.out)


def _make_output(config: Wavenet.Config) -> SampleOutput:
    if config.output == "mu_law":
        return MuLawOutput(config.bits)
    return {"logistics": LogisticsOutput, "gaussians": GaussiansOutput}[config.output](config.num_components)
