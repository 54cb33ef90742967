"""JETS: FastSpeech 2 and HiFi-GAN as one network from tokens to the waveform."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from speechkit.config import Choice
from speechkit.models.acoustic.base import AcousticFacts, Controls, Learned, Speech, Spoken
from speechkit.models.acoustic.pieces import build_generator, speak_pieces
from speechkit.models.acoustic.variances import VariedModel
from speechkit.models.vocoder.base import Vocoder, VocoderInput
from speechkit.models.vocoder.hifigan import HifiGan


class Jets(VariedModel, name="jets"):
    """A feed-forward model whose decoder's vectors a vocoder speaks, with no spectrogram between them (Lim et al., 2022, JETS,
    arXiv:2203.16852).

    Durations are those of an aligner that learns with the rest. In training the vocoder speaks a random piece of each
    utterance, for a mel loss and for discriminators. Judge ``log_duration``, ``pitch`` and ``energy`` (mse) and the alignment
    (forward_sum; binarization once it is sharp).

    Differs from the paper: tokens are repeated, not mixed by Gaussians around their centres; the predictor of durations
    says ``ln(1 + d)``; see also :class:`speechkit.models.acoustic.variances.VariedModel`.
    """

    class Config(VariedModel.Config):
        """Options of JETS."""

        durations: Literal["given", "aligner"] = "aligner"
        """Where training has durations from: an aligner that is learned at the same time, or given with the data."""
        vocoder: Choice[Vocoder] = HifiGan.Config()
        """Makes the waveform: a vocoder that is trained against discriminators, such as hifigan."""
        segment_frames: int = Field(64, ge=1)
        """Frames of each utterance that the vocoder speaks in a training step."""

    needs = VariedModel.needs | {"wav"}
    gives = VariedModel.gives | {"segments"}

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        given = VocoderInput(self.decoder.out_dim, facts.hop_length, facts.sampling_rate)
        self.vocoder = build_generator(config.vocoder, "jets.vocoder", given)

    def forward(self, speech: Speech) -> Learned:
        """Learn from recordings."""
        frames = self.learn(speech)
        learned = frames.learned()
        segments = speak_pieces(
            self.vocoder, frames.hidden, frames.lens, self.config.segment_frames, self.facts.hop_length
        )
        return Learned(compared=learned.compared, alignment=learned.alignment, segments=segments)

    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        """Speak tokens (B, U) with lengths (B,), at least 1."""
        frames = self.speak(tokens, token_lens, controls)
        wav, _ = self.vocoder.generate(frames.hidden, frames.lens, controls.generator)
        return frames.spoken(wav=wav)
