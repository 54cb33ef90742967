"""What every acoustic model is: tokens in, features of speech out; in training, all that its objectives compare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from speechkit.config import Choice, Component, ComponentConfig
from speechkit.models.acoustic.condition import TOLD, Condition, Conditions, SpeakerEmbedding, Told
from speechkit.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class AcousticFacts:
    """What a model must know of the data and of other parts.

    Args:
        vocabulary: The token ids.
        feat_dim: F.
        frame_shift: Seconds from one frame to the next.
        num_speakers: Speakers that training has heard, at least 1.
        hop_length: Samples from one frame to the next.
        sampling_rate: Of the waveforms, in Hz.
    """

    vocabulary: Vocabulary
    feat_dim: int
    frame_shift: float
    num_speakers: int = 1
    hop_length: int = 256
    sampling_rate: int = 22050


@dataclass(frozen=True)
class Speech:
    """B recorded utterances to learn from. All lengths (B,) are int64, and what lies at padding does not matter.

    Args:
        tokens: (B, U) int64.
        token_lens: (B,).
        feats: (B, T, F).
        feat_lens: (B,).
        speakers: (B,) int64, index of each utterance's speaker.
        durations: (B, U) int64 frames of each token, adding up to ``feat_lens``; None where nobody knows.
        pitch: (B, T) Hz, 0 where unvoiced; for models that need it.
        energy: (B, T) norm of each frame's magnitude spectrum; for models that need it.
        wav: (B, L) samples in [-1, 1], ``L >= T * hop_length``; for models that need it. Frame t is centred on sample
            ``(t + 1/2) * hop_length``.
    """

    tokens: Tensor
    token_lens: Tensor
    feats: Tensor
    feat_lens: Tensor
    speakers: Tensor
    durations: Tensor | None = None
    pitch: Tensor | None = None
    energy: Tensor | None = None
    wav: Tensor | None = None


@dataclass(frozen=True)
class Compared:
    """A prediction beside what it should be.

    Args:
        predicted: (B, N) or (B, N, F).
        target: The same shape.
        lens: (B,) int64, at most N.
    """

    predicted: Tensor
    target: Tensor
    lens: Tensor


@dataclass(frozen=True)
class Alignment:
    """A soft alignment of frames (or decoder steps) with tokens.

    Args:
        weights: (B, S, U), rows sum to 1 over the tokens of the utterance.
        step_lens: (B,) int64, at most S.
        token_lens: (B,) int64, at most U.
        log_probs: (B, S, U) where the model aligns by likelihood: log p(token | frame), unnormalised over paths; else None.
        durations: (B, U) int64, the hard alignment, where the model makes one.
    """

    weights: Tensor
    step_lens: Tensor
    token_lens: Tensor
    log_probs: Tensor | None = None
    durations: Tensor | None = None


@dataclass(frozen=True)
class Segments:
    """Pieces of waveforms that a model made, for discriminators to compare with the same pieces of the recordings.

    Args:
        wav: (B, N * hop_length) samples.
        starts: (B,) int64, the first frame of each piece.
        num_frames: N; an utterance shorter than that is padded with silence.
    """

    wav: Tensor
    starts: Tensor
    num_frames: int


@dataclass(frozen=True)
class Learned:
    """What a model said in training, for objectives to judge. A model fills in what it has, and names it in ``gives``.

    Args:
        compared: By name what was predicted, beside its target: ``mel``, ``mel_before`` (a first guess), ``stop``
            (logits), ``log_duration``, ``pitch``, ``energy`` ...
        nats: By name losses (B,) that only the model itself can compute: negative log-likelihoods and divergences.
        alignment: Of frames with tokens.
        segments: Of models that go on to the waveform.
    """

    compared: dict[str, Compared] = field(default_factory=dict)
    nats: dict[str, Tensor] = field(default_factory=dict)
    alignment: Alignment | None = None
    segments: Segments | None = None


@dataclass(frozen=True)
class Controls:
    """How to speak.

    Args:
        speakers: (B,) int64; None for the first.
        speed: Times as fast as usual, above 0.
        pitch_shift: Semitones.
        energy_scale: Factor.
        temperature: Deviation of the noise, for models that sample; 1 is that of training.
        duration_temperature: Likewise of durations, for models that sample those.
        generator: Where random numbers come from; None for torch's own.
        style: (B, K), or (B, H, K) for H heads, weights of style tokens that add up to 1, in place of a reference.
        reference: (B, T, F) features of recordings to sound like; None for what is usual for the speaker.
        reference_lens: (B,) int64, of these.
    """

    speakers: Tensor | None = None
    speed: float = 1.0
    pitch_shift: float = 0.0
    energy_scale: float = 1.0
    temperature: float = 0.667
    duration_temperature: float = 0.8
    generator: torch.Generator | None = None
    style: Tensor | None = None
    reference: Tensor | None = None
    reference_lens: Tensor | None = None


@dataclass(frozen=True)
class Spoken:
    """What a model says.

    Args:
        feats: (B, T, F), 0 at padding.
        feat_lens: (B,) int64.
        durations: (B, U) int64 frames of each token; for attention the frames in which it is looked at most.
        alignment: Where the model attends; None where durations are all there is.
        pitch: (B, T) Hz, 0 where unvoiced, as asked of the decoder; None for models without.
        finished: (B,) bool, False where a model that ends by itself had to be stopped.
        wav: (B, T * hop_length) samples, 0 at padding, of models that go on to the waveform, whose ``feats`` are then None.
    """

    feats: Tensor | None
    feat_lens: Tensor
    durations: Tensor
    alignment: Tensor | None = None
    pitch: Tensor | None = None
    finished: Tensor | None = None
    wav: Tensor | None = None


class AcousticModel(nn.Module, Component, kind="acoustic"):
    """Maps tokens to features. An utterance alone and in a padded batch gets the same.

    Where the options of a model decide what it needs, gives and obeys, its class names all that it may, and the instance
    what it does. A model that can be told who speaks, and how, calls :meth:`add_conditions` in its constructor.

    Args:
        config: The options.
        facts: Of the data.
    """

    class Config(ComponentConfig):
        """Options of all acoustic models."""

        conditions: tuple[Choice[Condition], ...] = (SpeakerEmbedding.Config(),)
        """What tells who speaks, and how: embedding, a table of the speakers; reference, a recording; style_tokens, a
        recording as a mixture of learned styles; or several of them, [embedding, style_tokens] for instance."""

        @model_validator(mode="after")
        def _conditions_differ(self) -> Self:
            names = [each.name for each in self.conditions]
            if len(set(names)) < len(names):
                raise ValueError(f"conditions: expected each of them once, got {', '.join(names)}")
            return self

    needs: ClassVar[frozenset[str]] = frozenset()
    """Fields of :class:`Speech` beyond tokens, features and speakers that it learns from: durations, pitch, energy, wav."""
    gives: ClassVar[frozenset[str]] = frozenset()
    """What it fills in of :class:`Learned`: names of ``compared`` and ``nats``, ``alignment`` and ``segments``."""
    controls: ClassVar[frozenset[str]] = TOLD
    """Fields of :class:`Controls` that it obeys."""

    def __init__(self, config: ComponentConfig, facts: AcousticFacts) -> None:
        super().__init__()
        self.config, self.facts = config, facts

    def add_conditions(self, dim: int) -> None:
        """Make ``self.conditions``, which gives vectors of width ``dim``."""
        self.conditions = Conditions(self.config.conditions, self.facts.feat_dim, self.facts.num_speakers, dim)
        self.controls = self.controls - TOLD | self.conditions.controls

    def condition(self, given: Speech | Controls, token_lens: Tensor) -> Tensor | None:
        """(B, 1, D): who speaks, and how, as in recordings or as asked for; None where nothing is to be told apart."""
        if isinstance(given, Speech):
            return self.conditions(Told(given.speakers, given.feats, given.feat_lens))
        speakers = torch.zeros_like(token_lens) if given.speakers is None else given.speakers
        return self.conditions(Told(speakers, given.reference, given.reference_lens, given.style))

    def fit(self, speeches: Iterable[Speech]) -> None:
        """Look once at the recordings to train on, before the first step: for statistics that are kept with the weights.

        Most models want none.
        """

    def forward(self, speech: Speech) -> Learned:
        """Learn from recordings."""
        raise NotImplementedError

    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        """Speak tokens (B, U) with lengths (B,), at least 1."""
        raise NotImplementedError
