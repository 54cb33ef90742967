"""Glow-TTS: a flow between spectrograms and Gaussians that the tokens place."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.models.acoustic.aligning import AligningModel, find_durations, hard_alignment, spread
from speechkit.models.acoustic.base import AcousticFacts, Compared, Controls, Learned, Speech, Spoken
from speechkit.models.acoustic.condition import TOLD
from speechkit.nn.gaussian import draw_noise, gaussian_nats
from speechkit.nn.glow import Glow
from speechkit.nn.variance_predictor import VariancePredictor, durations_from_logs, log_durations
from speechkit.utils.lens import padding_mask


class GlowTts(AligningModel, name="glow_tts"):
    """The frames of a token are Gaussian noise around what the text encoder says of it, seen through a flow.

    Which frames those are, the search for the best monotonic alignment finds in every step (Kim et al., 2020,
    arXiv:2005.11129)::

        log p(x | c) = log p(z | c) + log |det dz/dx|,   log p(z | c) = sum_t log N(z_t; m_{A(t)}, s_{A(t)}^2)    (1, 2)

    It gives ``nats["likelihood"]``, that is ``-log p(x | c)`` along the best alignment, with all constants, per
    ``likelihood_per``; and ``compared["log_duration"]``, the logarithms of the durations of that alignment. No gradient
    goes from the durations to the encoder. Frames at the end of an utterance that do not fill a group of ``squeeze`` are
    not learned.

    Differs from the paper: positions are those of Transformer-XL instead of a window of 4 (Shaw et al., 2018), and the
    encoder's feed-forward layers look at one token each. Durations are rounded to nearest, not up.
    """

    class Config(AligningModel.Config):
        """Options of Glow-TTS."""

        prenet_layers: int = Field(3, ge=0)
        """Convolutions between embedding and encoder, with a residual connection around them."""
        mean_only: bool = True
        """Whether all deviations of the tokens' Gaussians are 1, as in the published model."""
        squeeze: int = Field(2, ge=1)
        """Frames side by side in the flow."""
        num_flows: int = Field(12, ge=1)
        """Blocks of activation norm, 1x1 convolution and coupling."""
        group_size: int = Field(4, ge=2)
        """Channels that a 1x1 convolution mixes, even; a divisor of squeeze times the features' channels."""
        flow_dim: int = Field(192, ge=1)
        """Channels of the couplings' stacks."""
        flow_layers: int = Field(4, ge=1)
        """Layers of each stack."""
        flow_kernel_size: int = Field(5, ge=1)
        """Taps of each layer, in groups of frames, odd."""
        flow_dropout: float = Field(0.05, ge=0, lt=1)
        """Dropout probability in the stacks."""
        duration_dim: int = Field(256, ge=1)
        """Channels of the duration predictor."""
        duration_layers: int = Field(2, ge=1)
        """Convolutions of the duration predictor."""
        duration_dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability in the duration predictor."""
        likelihood_per: Literal["value", "frame", "utterance"] = "value"
        """What the likelihood is per: number of the spectrogram (value), as in the published code, frame, or utterance."""

        @model_validator(mode="after")
        def _looks_to_both_sides(self) -> Self:
            if self.flow_kernel_size % 2 == 0:
                raise ValueError(f"flow_kernel_size: expected an odd number, got {self.flow_kernel_size}")
            return self

    gives: ClassVar[frozenset[str]] = frozenset({"log_duration", "likelihood", "alignment"})
    controls: ClassVar[frozenset[str]] = TOLD | {"speed", "temperature"}

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts, facts.feat_dim, config.mean_only)
        self.decoder = Glow(
            facts.feat_dim,
            config.num_flows,
            config.squeeze,
            config.group_size,
            config.flow_dim,
            config.flow_layers,
            config.flow_kernel_size,
            config.flow_dropout,
            self.cond_dim,
        )
        hidden_dim = self.text.encoder.out_dim
        self.duration_cond = nn.Linear(self.cond_dim, hidden_dim) if self.cond_dim else None
        self.durations = VariancePredictor(
            hidden_dim, config.duration_dim, config.duration_layers, dropout=config.duration_dropout
        )

    def forward(self, speech: Speech) -> Learned:
        """Learn from recordings; see :meth:`AcousticModel.forward`."""
        cond = self.condition(speech, speech.token_lens)
        prior = self.text(speech.tokens, speech.token_lens)
        z, lens, log_det = self.decoder(speech.feats, speech.feat_lens, cond)
        durations = find_durations(z, lens, prior, speech.token_lens)
        means, log_stds = spread(prior, speech.token_lens, durations, z.shape[1])
        nats = gaussian_nats(z, means, log_stds, padding_mask(lens, z.shape[1])) - log_det
        guess = self._log_durations(prior.hidden.detach(), speech.token_lens, cond)
        return Learned(
            compared={"log_duration": Compared(guess, log_durations(durations, "log"), speech.token_lens)},
            nats={"likelihood": nats / self._count(lens)},
            alignment=hard_alignment(durations, speech.token_lens, lens, z.shape[1]),
        )

    @torch.inference_mode()
    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        """Speak; see :meth:`AcousticModel.synthesize`. The last token lasts until the last group of frames is full."""
        cond = self.condition(controls, token_lens)
        prior = self.text(tokens, token_lens)
        logs = self._log_durations(prior.hidden, token_lens, cond)
        durations = durations_from_logs(logs, token_lens, 1 / controls.speed, "log", "keep_total", minimum=1)
        durations = fill_groups(durations, token_lens, self.config.squeeze)
        lens = durations.sum(1)
        means, log_stds = spread(prior, token_lens, durations, int(lens.max()))
        z = means + log_stds.exp() * controls.temperature * draw_noise(means, lens, controls.generator)
        feats, lens = self.decoder.inverse(z, lens, cond)
        return Spoken(feats, lens, durations)

    def _log_durations(self, hidden: Tensor, token_lens: Tensor, cond: Tensor | None) -> Tensor:
        return self.durations(hidden if cond is None else hidden + self.duration_cond(cond), token_lens)

    def _count(self, lens: Tensor) -> Tensor:
        factor = {"value": self.facts.feat_dim, "frame": 1, "utterance": 0}[self.config.likelihood_per]
        return (factor * lens).clamp(min=1)


def fill_groups(durations: Tensor, token_lens: Tensor, size: int) -> Tensor:
    """``durations`` (B, U) whose last token is made longer, until each utterance is a multiple of ``size`` frames."""
    missing = -durations.sum(1, keepdim=True) % size
    return durations.scatter_add(1, (token_lens - 1).unsqueeze(1), missing)
