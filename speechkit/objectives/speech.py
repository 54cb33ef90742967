"""Losses of synthesis: each judges one thing that an acoustic model said in training, one value per utterance."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.models.acoustic.base import Alignment, Compared, Learned
from speechkit.objectives import regression
from speechkit.objectives.forward_sum import binarization, forward_sum
from speechkit.objectives.guided_attention import guided_attention
from speechkit.utils.lens import padding_mask


class SpeechObjective(nn.Module, Component, kind="speech_objective"):
    """A loss of synthesis. In YAML its key says what it judges: ``objectives: {mel: {name: l1}, stop: {name: bce}}``.

    A subclass implements :meth:`forward`, and says in :attr:`judges` what part of :class:`Learned` it reads.

    Args:
        config: The options.
        of: What it judges.
    """

    class Config(ComponentConfig):
        """Options of all losses of synthesis."""

        weight: float = Field(1.0, ge=0.0)
        """Factor of this loss in the sum."""
        from_step: int = Field(0, ge=0)
        """Optimizer steps before it counts."""

    judges: Literal["compared", "nats", "alignment"]

    def __init__(self, config: Config, of: str) -> None:
        super().__init__()
        self.config, self.of = config, of

    @classmethod
    def check(cls, of: str, gives: frozenset[str]) -> None:
        """Refuse to judge what there is not among what a model (or its task) gives.

        Raises:
            ValueError: Naming what is given.
        """
        wanted = "alignment" if cls.judges == "alignment" else of
        if wanted not in gives:
            raise ValueError(f"expected one of {', '.join(sorted(gives))}, which the model gives, got {wanted!r}")

    def forward(self, learned: Learned) -> Tensor:
        """(B,) losses, float32 at least."""
        raise NotImplementedError


class Difference(SpeechObjective):
    """Of what is predicted from its target; it implements :meth:`between`."""

    class Config(SpeechObjective.Config):
        """Options of losses between a prediction and its target."""

        per: regression.Per = "value"
        """What the loss is per: the mean over all numbers of an utterance (value), their sum over features and mean over frames
        (frame), or the sum of all (utterance)."""

    judges = "compared"

    def forward(self, learned: Learned) -> Tensor:
        """(B,) losses."""
        return self.between(learned.compared[self.of])

    def between(self, pair: Compared) -> Tensor:
        """(B,) losses."""
        raise NotImplementedError


class L1Objective(Difference, name="l1"):
    """``|x - y|``, as FastSpeech 2 and Tacotron have it for spectrograms."""

    def between(self, pair: Compared) -> Tensor:
        """(B,) losses."""
        return regression.l1(pair.predicted, pair.target, pair.lens, self.config.per)


class MseObjective(Difference, name="mse"):
    """``(x - y)^2``, as Tacotron 2 has it for spectrograms, and FastSpeech for durations."""

    def between(self, pair: Compared) -> Tensor:
        """(B,) losses."""
        return regression.mse(pair.predicted, pair.target, pair.lens, self.config.per)


class BceObjective(Difference, name="bce"):
    """Cross entropy of yes or no, of logits: whether speech has ended."""

    class Config(Difference.Config):
        """Options of the cross entropy."""

        positive_weight: float = Field(1.0, gt=0)
        """Weight of what is true; an utterance has many frames and ends once."""

    def between(self, pair: Compared) -> Tensor:
        """(B,) losses in nats."""
        return regression.bce(pair.predicted, pair.target, pair.lens, self.config.positive_weight, self.config.per)


class NatsObjective(SpeechObjective, name="nats"):
    """A likelihood or divergence that the model itself computes, in nats."""

    judges = "nats"

    def forward(self, learned: Learned) -> Tensor:
        """(B,) nats."""
        return learned.nats[self.of]


class GuidedAttentionObjective(SpeechObjective, name="guided_attention"):
    """Attention far from the diagonal (Tachibana et al., 2018), per decoder step."""

    class Config(SpeechObjective.Config):
        """Options of guided attention."""

        width: float = Field(0.2, gt=0)
        """g: how far from the diagonal is far, as a share of the utterance."""

    judges = "alignment"

    def forward(self, learned: Learned) -> Tensor:
        """(B,) means over the steps, in [0, 1]."""
        found = learned.alignment
        penalty = guided_attention(found.weights, found.step_lens, found.token_lens, self.config.width)
        return penalty / found.step_lens.clamp(min=1)


class ForwardSumObjective(SpeechObjective, name="forward_sum"):
    """All monotonic alignments together are to be likely; see :func:`speechkit.objectives.forward_sum.forward_sum`."""

    class Config(SpeechObjective.Config):
        """Options of the sum over alignments."""

        blank_logit: float = -1.0
        """Of the frames between tokens, before the softmax."""

    judges = "alignment"

    def forward(self, learned: Learned) -> Tensor:
        """(B,) nats per token."""
        found = learned.alignment
        nats = forward_sum(found.log_probs, found.step_lens, found.token_lens, self.config.blank_logit)
        return nats / found.token_lens.clamp(min=1)


class BinarizationObjective(SpeechObjective, name="binarization"):
    """The soft alignment is to be as certain as the hard one that durations are taken from."""

    judges = "alignment"

    def forward(self, learned: Learned) -> Tensor:
        """(B,) nats per frame."""
        found = learned.alignment
        return binarization(found.log_probs, _path(found)) / found.step_lens.clamp(min=1)


def _path(found: Alignment) -> Tensor:
    """(B, S, U) bool: the token of each frame by the hard alignment."""
    ends = found.durations.cumsum(1).unsqueeze(1)
    frames = torch.arange(found.weights.shape[1], device=ends.device).view(1, -1, 1)
    inside = (frames < ends) & (frames >= ends - found.durations.unsqueeze(1))
    return inside & ~padding_mask(found.step_lens, found.weights.shape[1]).unsqueeze(2)
