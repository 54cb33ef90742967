"""Pitch and energy for feed-forward acoustic models: predicted, and given to the decoder."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from speechkit.models.acoustic.base import AcousticFacts, Compared, Controls, Speech
from speechkit.models.acoustic.feed_forward import FeedForwardModel, PredictorConfig
from speechkit.nn.gaps import fill_gaps
from speechkit.nn.length_regulator import average_by_durations, regulate_length
from speechkit.nn.moments import Moments
from speechkit.nn.variance_embedding import BucketEmbedding, ConvEmbedding
from speechkit.utils.lens import padding_mask

SEMITONES = 12 / math.log(2)  # per unit of the natural logarithm of a frequency


class VarianceConfig(PredictorConfig):
    """Options of pitch or energy: its predictor and its embedding."""

    embedding: Literal["conv", "buckets"] = "conv"
    """How the decoder gets it: by a convolution over the numbers (FastPitch), or by a vector for each of equal intervals
    (FastSpeech 2)."""
    embed_kernel_size: int = Field(3, ge=1)
    """Taps of the convolution."""
    num_buckets: int = Field(256, ge=1)
    """Intervals between the lowest and the highest number in the training data."""


class Variance(nn.Module):
    """A quantity that is predicted from encodings, and added to them."""

    def __init__(self, config: VarianceConfig, dim: int) -> None:
        super().__init__()
        self.config = config
        self.moments = Moments()
        self.predictor = config.make(dim)
        if config.embedding == "conv":
            self.embedding = ConvEmbedding(dim, config.embed_kernel_size)
        else:
            self.embedding = BucketEmbedding(dim, config.num_buckets)

    def predict(self, x: Tensor, lens: Tensor) -> Tensor:
        """(B, N) normalised numbers from encodings (B, N, D)."""
        return self.predictor(x.detach() if self.config.stop_gradient else x, lens)

    def embed(self, z: Tensor, lens: Tensor) -> Tensor:
        """(B, N, D) of normalised numbers (B, N)."""
        low, high = (self.moments.normalize(each.to(z.dtype)) for each in (self.moments.low, self.moments.high))
        return self.embedding(z, padding_mask(lens, z.shape[1]), low, high)


class VariedModel(FeedForwardModel):
    """Adds to the encodings what pitch and energy they shall have: those of the recording in training, the predicted ones in
    synthesis (Ren et al., 2021, FastSpeech 2, arXiv:2006.04558, section 2.3).

    Both are normalised by mean and deviation over the training data, which :meth:`fit` finds: the natural logarithm of the
    pitch in Hz over voiced frames, and the energy over all frames. Of tokens the pitch is the mean over voiced frames, and the
    overall mean where none is; of frames it is interpolated where it is unvoiced. Both predictors read what the duration's
    predictor reads, so that neither depends on the other.
    """

    class Config(FeedForwardModel.Config):
        """Options of pitch and energy."""

        variance_level: Literal["token", "frame"] = "token"
        """Whether a token has one pitch and one energy (FastPitch), or each of its frames (FastSpeech 2)."""
        pitch: VarianceConfig = VarianceConfig()
        """Predictor and embedding of the pitch."""
        energy: VarianceConfig = VarianceConfig()
        """Predictor and embedding of the energy."""

    needs = FeedForwardModel.needs | {"pitch", "energy"}
    gives = FeedForwardModel.gives | {"pitch", "energy"}
    controls = FeedForwardModel.controls | {"pitch_shift", "energy_scale"}

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.pitch = Variance(config.pitch, self.encoder.out_dim)
        self.energy = Variance(config.energy, self.encoder.out_dim)

    def fit(self, speeches: Iterable[Speech]) -> None:
        """Find the statistics of pitch and energy; see :meth:`AcousticModel.fit`."""
        self.pitch.moments.reset()
        self.energy.moments.reset()
        for speech in speeches:
            valid = ~padding_mask(speech.feat_lens, speech.feats.shape[1])
            self.pitch.moments.add(speech.pitch[valid & (speech.pitch > 0)].double().log())
            self.energy.moments.add(speech.energy[valid])

    def upsample(self, encoded: Tensor, durations: Tensor, speech: Speech) -> tuple[Tensor, dict[str, Compared]]:
        """Frames with the pitch and the energy of the recordings; see :meth:`FeedForwardModel.upsample`."""
        pitch, energy = self.targets(speech, durations)
        x, lens = encoded, speech.token_lens
        if self.config.variance_level == "frame":
            (x, _), lens = regulate_length(x, lens, durations, speech.feats.shape[1]), speech.feat_lens
        compared = {
            "pitch": Compared(self.pitch.predict(x, lens), pitch, lens),
            "energy": Compared(self.energy.predict(x, lens), energy, lens),
        }
        x = self.add_variances(x, pitch, energy, lens)
        if self.config.variance_level == "token":
            x, _ = regulate_length(x, lens, durations, speech.feats.shape[1])
        return x, compared

    def upsample_spoken(
        self, encoded: Tensor, token_lens: Tensor, durations: Tensor, controls: Controls
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Frames with predicted pitch and energy; see :meth:`FeedForwardModel.upsample_spoken`."""
        x, lens = encoded, token_lens
        if self.config.variance_level == "frame":
            x, lens = regulate_length(x, lens, durations)
        pitch = self.pitch.moments.restore(self.pitch.predict(x, lens)) + controls.pitch_shift / SEMITONES
        energy = self.energy.moments.restore(self.energy.predict(x, lens)) * controls.energy_scale
        x = self.add_variances(x, self.pitch.moments.normalize(pitch), self.energy.moments.normalize(energy), lens)
        hertz = pitch.exp().unsqueeze(2)
        if self.config.variance_level == "token":
            hertz, _ = regulate_length(hertz, token_lens, durations)
            x, lens = regulate_length(x, token_lens, durations)
        hertz = hertz.squeeze(2).masked_fill(padding_mask(lens, x.shape[1]), 0.0)
        return x, lens, hertz

    def add_variances(self, x: Tensor, pitch: Tensor, energy: Tensor, lens: Tensor) -> Tensor:
        """``x`` (B, N, D) with the embeddings of normalised pitch and energy (B, N); 0 at padding."""
        x = x + self.pitch.embed(pitch, lens) + self.energy.embed(energy, lens)
        return x.masked_fill(padding_mask(lens, x.shape[1]).unsqueeze(2), 0.0)

    def targets(self, speech: Speech, durations: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised pitch and energy of recordings: (B, U) of tokens, or (B, T) of frames."""
        padding = padding_mask(speech.feat_lens, speech.feats.shape[1])
        voiced = (speech.pitch > 0) & ~padding
        pitch = self.pitch.moments.normalize(speech.pitch.where(voiced, 1.0).log())
        energy = self.energy.moments.normalize(speech.energy)
        if self.config.variance_level == "frame":
            return fill_gaps(pitch, voiced), energy.masked_fill(padding, 0.0)
        means = (
            average_by_durations(each.unsqueeze(2), speech.token_lens, durations, chosen).squeeze(2)
            for each, chosen in ((pitch, voiced), (energy, None))
        )
        return tuple(means)
