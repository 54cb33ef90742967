"""VITS: from tokens to the waveform in one model, through latent frames that recordings and texts agree on."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.models.acoustic.aligning import AligningModel, find_durations, hard_alignment, spread
from speechkit.models.acoustic.base import AcousticFacts, Controls, Learned, Speech, Spoken
from speechkit.models.acoustic.condition import TOLD
from speechkit.models.acoustic.pieces import build_generator, speak_pieces
from speechkit.models.vocoder.base import Vocoder, VocoderInput
from speechkit.models.vocoder.hifigan import HifiGan
from speechkit.nn.affine_coupling import AffineCoupling
from speechkit.nn.flow import Flip, FlowSequence, zero_padding
from speechkit.nn.gaussian import draw_noise, sampled_divergence
from speechkit.nn.length_regulator import round_durations
from speechkit.nn.linear_spectrogram import LinearSpectrogram
from speechkit.nn.stochastic_duration import PlainDurationPredictor, StochasticDurationPredictor
from speechkit.nn.wavenet import WaveNetStack
from speechkit.utils.lens import padding_mask


class Vits(AligningModel, name="vits"):
    """A variational autoencoder of waveforms, whose prior knows the text (Kim et al., 2021, arXiv:2106.06103)::

        log p(x | c) >= E_{q(z | x)} [ log p(x | z) - log q(z | x) + log p(z | c, A) ]                          (1)
        p(z | c, A) = N(f(z); m_A(c), s_A(c)^2) |det df/dz|                                                    (4)

    The posterior q hears the linear spectrogram; f is a flow that keeps volumes, so its determinant is 1; the alignment A is
    the best monotonic one, searched in every step. The decoder makes samples of random segments of z, for objectives of
    the waveform and discriminators to judge.

    It gives ``nats["kl"]`` per frame, summed over the channels as in the published code: the estimate of
    :func:`speechkit.nn.gaussian.sampled_divergence`; ``nats["duration"]`` per token; and ``segments``. No gradient goes
    from the durations to the text encoder. The paper's weights are 1 for both, and 45 for the L1 of the segments' mel
    spectrograms.

    Differs from the paper: positions are those of Transformer-XL instead of a window of 4 (Shaw et al., 2018), and the
    encoder's feed-forward layers look at one token each. The decoder hears the speaker in its input instead of behind its
    first convolution. Whether blanks stand between the tokens is up to who makes the tokens.
    """

    class Config(AligningModel.Config):
        """Options of VITS."""

        latent_dim: int = Field(192, ge=2)
        """Channels of the latent frames."""
        n_fft: int = Field(1024, ge=2)
        """FFT length of the posterior encoder's spectrogram, samples; at least the hop length."""
        win_length: int = Field(1024, ge=1)
        """Window length of that spectrogram, samples; at most n_fft."""
        posterior_dim: int = Field(192, ge=1)
        """Channels of the posterior encoder."""
        posterior_layers: int = Field(16, ge=1)
        """Layers of the posterior encoder."""
        num_flows: int = Field(4, ge=1)
        """Couplings of the prior's flow."""
        flow_dim: int = Field(192, ge=1)
        """Channels of the couplings' stacks."""
        flow_layers: int = Field(4, ge=1)
        """Layers of each stack."""
        kernel_size: int = Field(5, ge=1)
        """Taps of the posterior encoder's and the flow's layers, in frames, odd."""
        duration: Literal["stochastic", "plain"] = "stochastic"
        """How durations are predicted: as random numbers, or as one number each."""
        duration_dim: int = Field(192, ge=1)
        """Channels of the duration predictor."""
        duration_dropout: float = Field(0.5, ge=0, lt=1)
        """Dropout probability in the duration predictor."""
        decoder: Choice[Vocoder] = HifiGan.Config()
        """From latent frames to samples: a vocoder that makes all samples at once."""
        segment_frames: int = Field(32, ge=1)
        """Frames of the pieces that the decoder makes in training."""

        @model_validator(mode="after")
        def _looks_to_both_sides(self) -> Self:
            if self.kernel_size % 2 == 0:
                raise ValueError(f"kernel_size: expected an odd number, got {self.kernel_size}")
            return self

    needs: ClassVar[frozenset[str]] = frozenset({"wav"})
    gives: ClassVar[frozenset[str]] = frozenset({"kl", "duration", "segments", "alignment"})
    controls: ClassVar[frozenset[str]] = TOLD | {"speed", "temperature", "duration_temperature"}

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts, config.latent_dim)
        hidden_dim, cond_dim = self.text.encoder.out_dim, self.cond_dim
        self.spectrum = LinearSpectrogram(config.n_fft, facts.hop_length, config.win_length)
        self.posterior = PosteriorEncoder(
            self.spectrum.out_dim,
            config.latent_dim,
            config.posterior_dim,
            config.posterior_layers,
            config.kernel_size,
            cond_dim,
        )
        self.flow = latent_flow(config, cond_dim)
        self.duration_cond = nn.Linear(cond_dim, hidden_dim) if cond_dim else None
        predictor = StochasticDurationPredictor if config.duration == "stochastic" else PlainDurationPredictor
        self.durations = predictor(hidden_dim, config.duration_dim, dropout=config.duration_dropout)
        self.decoder_cond = nn.Linear(cond_dim, config.latent_dim) if cond_dim else None
        given = VocoderInput(config.latent_dim, facts.hop_length, facts.sampling_rate)
        self.decoder = build_generator(config.decoder, "vits.decoder", given)

    def forward(self, speech: Speech) -> Learned:
        """Learn from recordings; see :meth:`AcousticModel.forward`."""
        lens, num_frames = speech.feat_lens, speech.feats.shape[1]
        padding, cond = padding_mask(lens, num_frames), self.condition(speech, speech.token_lens)
        prior = self.text(speech.tokens, speech.token_lens)
        latent = self.posterior(self.spectrum(speech.wav, lens, num_frames), padding, cond)
        mapped, _ = self.flow(latent.z, padding, cond)
        durations = find_durations(mapped, lens, prior, speech.token_lens)
        divergence = sampled_divergence(
            mapped, latent.log_stds, *spread(prior, speech.token_lens, durations, num_frames), padding
        )
        duration_nats = self.durations(self._rhythm(prior.hidden.detach(), cond), speech.token_lens, durations)
        return Learned(
            nats={"kl": divergence / lens.clamp(min=1), "duration": duration_nats / speech.token_lens.clamp(min=1)},
            alignment=hard_alignment(durations, speech.token_lens, lens, num_frames),
            segments=speak_pieces(
                self.decoder, self._heard(latent.z, cond), lens, self.config.segment_frames, self.facts.hop_length
            ),
        )

    @torch.inference_mode()
    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        """Speak; see :meth:`AcousticModel.synthesize`. The total duration is ``1 / speed`` times what was drawn."""
        cond = self.condition(controls, token_lens)
        prior = self.text(tokens, token_lens)
        rhythm = self._rhythm(prior.hidden, cond)
        drawn = self.durations.sample(rhythm, token_lens, controls.duration_temperature, controls.generator)
        durations = round_durations(drawn, token_lens, 1 / controls.speed, "keep_total", minimum=1)
        lens = durations.sum(1)
        means, log_stds = spread(prior, token_lens, durations, int(lens.max()))
        mapped = means + log_stds.exp() * controls.temperature * draw_noise(means, lens, controls.generator)
        z = self.flow.inverse(mapped, padding_mask(lens, mapped.shape[1]), cond)
        wav, _ = self.decoder.generate(self._heard(z, cond), lens, controls.generator)
        return Spoken(None, lens, durations, wav=wav)

    def _heard(self, z: Tensor, cond: Tensor | None) -> Tensor:
        """What the decoder hears: latent frames (B, T, D) of a speaker."""
        return z if cond is None else z + self.decoder_cond(cond)

    def _rhythm(self, hidden: Tensor, cond: Tensor | None) -> Tensor:
        """What durations are predicted from: encodings (B, U, H) of a speaker."""
        return hidden if cond is None else hidden + self.duration_cond(cond)


class Latent(NamedTuple):
    """Frames drawn from the posterior.

    Args:
        z: (B, T, D), 0 at padding.
        means: (B, T, D).
        log_stds: (B, T, D) natural logarithms.
    """

    z: Tensor
    means: Tensor
    log_stds: Tensor


class PosteriorEncoder(nn.Module):
    """``q(z | x) = N(m(x), s(x)^2)``, with a WaveNet stack that looks to both sides (Kim et al., 2021, section 2.4).

    Args:
        in_dim: Channels of the spectrogram.
        latent_dim: D.
        dim: Channels of the stack.
        num_layers: Its layers.
        kernel_size: Their taps, odd.
        cond_dim: Channels C of the speaker; 0 for none.
    """

    def __init__(self, in_dim: int, latent_dim: int, dim: int, num_layers: int, kernel_size: int, cond_dim: int) -> None:
        super().__init__()
        self.start = nn.Linear(in_dim, dim)
        self.stack = WaveNetStack(dim, [1] * num_layers, kernel_size, cond_dim)
        self.end = nn.Linear(dim, 2 * latent_dim)

    def forward(self, spectrum: Tensor, padding: Tensor, cond: Tensor | None) -> Latent:
        """Encode ``spectrum`` (B, T, K) with the speaker (B, 1, C), and draw."""
        means, log_stds = self.end(self.stack(self.start(spectrum), padding, cond)).chunk(2, dim=2)
        z = means + torch.randn_like(means) * log_stds.exp()
        return Latent(zero_padding(z, padding), means, log_stds)


def latent_flow(config: Vits.Config, cond_dim: int) -> FlowSequence:
    """Couplings that only shift, with the channels reversed behind each (Kim et al., 2021, section 2.5.1)."""

    def coupling() -> AffineCoupling:
        dilations = [1] * config.flow_layers
        return AffineCoupling(
            config.latent_dim, config.flow_dim, dilations, config.kernel_size, cond_dim, mean_only=True
        )

    return FlowSequence(flow for _ in range(config.num_flows) for flow in (coupling(), Flip()))
