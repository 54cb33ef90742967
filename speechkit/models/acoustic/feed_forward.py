"""What feed-forward acoustic models share: tokens are encoded, last as long as predicted, and become frames all at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from torch import Tensor, nn

from speechkit.config import Choice, Config
from speechkit.models.acoustic.base import (
    AcousticFacts,
    AcousticModel,
    Alignment,
    Compared,
    Controls,
    Learned,
    Speech,
    Spoken,
)
from speechkit.models.acoustic.condition import TOLD
from speechkit.models.acoustic.token_frames import predicted_durations, recorded_durations
from speechkit.models.encoder.base import Encoder
from speechkit.models.encoder.fft import FeedForwardTransformer
from speechkit.nn.length_regulator import regulate_length
from speechkit.nn.text_aligner import TextAligner
from speechkit.nn.variance_predictor import VariancePredictor, log_durations


def keep_positions(config: Encoder.Config) -> Encoder.Config:
    """The config of an encoder that gives a vector for each one that it takes.

    Where nothing is said of subsampling there is none.

    Raises:
        ValueError: It says that there is subsampling.
    """
    if not {"subsampling", "subsampling_factor"} & config.model_fields_set:
        return config.model_copy(update={"subsampling": "stack", "subsampling_factor": 1})
    if config.subsampling_factor != 1:
        raise ValueError(
            f"subsampling_factor: expected 1, a vector for each token or frame, got {config.subsampling_factor}; leave it "
            "and subsampling out"
        )
    return config


SequenceEncoder = Annotated[Choice[Encoder], AfterValidator(keep_positions)]
"""The config of an encoder that keeps every position."""


class PredictorConfig(Config):
    """Options of a predictor of one number per position: layers of convolution, ReLU, layer norm and dropout."""

    dim: int = Field(256, ge=1)
    """Channels of the convolutions."""
    num_layers: int = Field(2, ge=1)
    """Convolutions."""
    kernel_size: int = Field(3, ge=1)
    """Their taps, in positions."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout probability."""
    stop_gradient: bool = False
    """Whether the encoder learns nothing from this predictor's errors."""

    def make(self, in_dim: int) -> VariancePredictor:
        """The predictor for encodings of width ``in_dim``."""
        return VariancePredictor(in_dim, self.dim, self.num_layers, self.kernel_size, self.dropout)


@dataclass(frozen=True)
class Frames:
    """What the decoder makes, before it is a spectrogram or a waveform.

    Args:
        hidden: (B, T, D).
        lens: (B,) int64.
        compared: As in :class:`Learned`.
        alignment: As in :class:`Learned`.
        durations: (B, U) int64 frames of each token.
        pitch: (B, T) Hz, in synthesis by models that know it.
    """

    hidden: Tensor
    lens: Tensor
    durations: Tensor
    compared: dict[str, Compared] = field(default_factory=dict)
    alignment: Alignment | None = None
    pitch: Tensor | None = None

    def learned(self, **more: Compared) -> Learned:
        """What objectives judge, with ``more`` to compare."""
        return Learned(compared={**self.compared, **more}, alignment=self.alignment)

    def spoken(self, feats: Tensor | None = None, wav: Tensor | None = None) -> Spoken:
        """What was said."""
        return Spoken(feats=feats, feat_lens=self.lens, durations=self.durations, pitch=self.pitch, wav=wav)


class FeedForwardModel(AcousticModel):
    """Encoder over tokens, durations, length regulator, decoder over frames.

    A subclass makes of :class:`Frames` what it is to say, and may override :meth:`upsample` and :meth:`upsample_spoken` to
    give the frames more than the tokens have.
    """

    class Config(AcousticModel.Config):
        """What feed-forward acoustic models share."""

        embed_dim: int = Field(256, ge=1)
        """Width of the token embeddings."""
        encoder: SequenceEncoder = keep_positions(FeedForwardTransformer.Config())
        """Over the tokens: fft, conformer, transformer, lstm ... Its subsampling need not be named."""
        decoder: SequenceEncoder = keep_positions(FeedForwardTransformer.Config())
        """Over the frames, of the same kinds."""
        duration: PredictorConfig = PredictorConfig()
        """Predicts the logarithm of one more than the frames of each token."""
        durations: Literal["given", "aligner"] = "given"
        """Where training has durations from: given with the data, or from an aligner that is learned at the same time
        (Badlani et al., 2021), which wants the objectives forward_sum and, once it is sharp, binarization."""

    needs = frozenset({"durations"})
    gives = frozenset({"log_duration", "alignment"})
    controls = TOLD | {"speed"}

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        aligned = config.durations == "aligner"
        self.needs = type(self).needs - ({"durations"} if aligned else set())
        self.gives = type(self).gives - (set() if aligned else {"alignment"})
        self.embedding = nn.Embedding(facts.vocabulary.size, config.embed_dim)
        self.encoder = config.encoder.build(in_dim=config.embed_dim)
        dim = self.encoder.out_dim
        self.add_conditions(dim)
        self.aligner = TextAligner(dim, facts.feat_dim) if aligned else None
        self.duration = config.duration.make(dim)
        self.decoder = config.decoder.build(in_dim=dim)

    def encode(self, tokens: Tensor, token_lens: Tensor, given: Speech | Controls) -> Tensor:
        """(B, U, D) encodings of tokens (B, U), to be spoken as in recordings or as asked for."""
        encoded, _ = self.encoder(self.embedding(tokens), token_lens)
        cond = self.condition(given, token_lens)
        return encoded if cond is None else encoded + cond

    def learn(self, speech: Speech) -> Frames:
        """Frames of recordings, with their durations (and pitch ...), and what was predicted of them."""
        encoded = self.encode(speech.tokens, speech.token_lens, speech)
        durations, alignment = recorded_durations(speech, encoded, self.aligner)
        target = log_durations(durations)
        heard = encoded.detach() if self.config.duration.stop_gradient else encoded
        predicted = self.duration(heard, speech.token_lens)
        compared = {"log_duration": Compared(predicted, target, speech.token_lens)}
        frames, more = self.upsample(encoded, durations, speech)
        hidden, _ = self.decoder(frames, speech.feat_lens)
        return Frames(hidden, speech.feat_lens, durations, {**compared, **more}, alignment)

    def speak(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Frames:
        """Frames of tokens (B, U), with everything as predicted."""
        encoded = self.encode(tokens, token_lens, controls)
        logs = self.duration(encoded, token_lens)
        durations = predicted_durations(logs, token_lens, controls.speed, self.aligner)
        frames, lens, pitch = self.upsample_spoken(encoded, token_lens, durations, controls)
        hidden, _ = self.decoder(frames, lens)
        return Frames(hidden, lens, durations, pitch=pitch)

    def upsample(self, encoded: Tensor, durations: Tensor, speech: Speech) -> tuple[Tensor, dict[str, Compared]]:
        """Frames (B, T, D) from encodings (B, U, D) that last ``durations`` (B, U), and what was predicted beside it."""
        return regulate_length(encoded, speech.token_lens, durations, speech.feats.shape[1])[0], {}

    def upsample_spoken(
        self, encoded: Tensor, token_lens: Tensor, durations: Tensor, controls: Controls
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Frames (B, T, D), their lengths (B,), and the pitch (B, T) in Hz of models that know it."""
        return *regulate_length(encoded, token_lens, durations), None
