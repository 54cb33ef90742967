"""What every vocoder is: features with lengths in, waveforms out; and the three families that differ in how they are trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.features.base import Featurizer


@dataclass(frozen=True)
class VocoderInput:
    """The features that a vocoder speaks.

    Args:
        feat_dim: F.
        hop_length: Samples that it makes of each frame.
        sampling_rate: Of the waveform, in Hz.
        featurizer: What makes them of a waveform; None where nothing but their size is known.
    """

    feat_dim: int
    hop_length: int
    sampling_rate: int
    featurizer: Featurizer.Config | None = None

    @classmethod
    def of(cls, featurizer: Featurizer) -> VocoderInput:
        """What ``featurizer`` makes."""
        return cls(featurizer.feat_dim, featurizer.hop_length, featurizer.sampling_rate, featurizer.config)


class Vocoder(nn.Module, Component, kind="vocoder"):
    """Makes ``hop_length`` samples of each frame.

    An utterance sounds the same alone and in a batch. A subclass belongs to one of the families :class:`WaveGenerator`,
    :class:`AutoregressiveVocoder` and :class:`FlowVocoder`, or needs no training and implements :meth:`generate` itself.

    Args:
        config: The options.
        given: The features that it speaks.
    """

    def __init__(self, config: ComponentConfig, given: VocoderInput) -> None:
        super().__init__()
        self.config, self.given = config, given

    @torch.inference_mode()
    def generate(self, feats: Tensor, feat_lens: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Speak a batch.

        Args:
            feats: (B, T, F); what lies at padding does not matter.
            feat_lens: (B,) int64 frames.
            generator: Where random numbers come from; None for torch's own.

        Returns:
            Samples (B, T * hop_length) in [-1, 1], 0 at padding, and their numbers (B,) int64, ``feat_lens * hop_length``.
        """
        # One by one: convolutions would hear what lies behind the end of an utterance.
        wavs = [self.speak(each[:length], generator) for each, length in zip(feats, feat_lens.tolist(), strict=True)]
        out = feats.new_zeros(len(feats), feats.shape[1] * self.given.hop_length)
        for row, wav in zip(out, wavs):
            row[: len(wav)] = wav.clamp(-1.0, 1.0)
        return out, feat_lens * self.given.hop_length

    def speak(self, feats: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Samples (T * hop_length,) of one utterance (T, F), T >= 0."""
        raise NotImplementedError


class WaveGenerator(Vocoder):
    """A network from features to all samples at once, trained against discriminators."""

    def forward(self, feats: Tensor, noise: Tensor | None = None) -> Tensor:
        """Samples (B, T * hop_length) of segments (B, T, F) without padding; ``noise`` (B, T * hop_length) where it has any."""
        raise NotImplementedError

    def draw_noise(self, feats: Tensor, generator: torch.Generator | None = None) -> Tensor | None:
        """The noise that :meth:`forward` wants for ``feats`` (B, T, F); None for networks without."""
        return None

    def speak(self, feats: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Samples of one utterance; see :meth:`Vocoder.speak`."""
        if len(feats) == 0:
            return feats.new_zeros(0)
        feats = feats.unsqueeze(0)
        return self(feats, self.draw_noise(feats, generator)).squeeze(0)


class AutoregressiveVocoder(Vocoder):
    """A distribution of each sample given those before it, trained by its likelihood."""

    def forward(self, feats: Tensor, wav: Tensor) -> Tensor:
        """Nats (B, T * hop_length): minus the log-probability of each sample of ``wav`` (B, T * hop_length) given those before
        it and the features (B, T, F)."""
        raise NotImplementedError


class FlowVocoder(Vocoder):
    """An invertible network from waveforms to noise, trained by the likelihood that it gives waveforms."""

    def forward(self, feats: Tensor, wav: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """The noise that ``wav`` (B, T * hop_length) is, in parts (B, ...) that together have as many numbers, and the
        log-determinant (B,) of the Jacobian, in nats."""
        raise NotImplementedError

    def inverse(self, feats: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """The waveform (B, T * hop_length) that such noise is."""
        raise NotImplementedError
