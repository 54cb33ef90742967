"""Beam search with an attention decoder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.decode.attention_base import AttentionSearch, looked_at
from speechkit.decode.base import Hypothesis, NBest
from speechkit.decode.rescore import rescore
from speechkit.decode.scorers.fusion import Fusion, FusionConfig
from speechkit.decode.sentence_beam import Limits, Sentence, SentenceBeam
from speechkit.models.decoder.attention import AttentionDecoder

NOTHING = Sentence([], -math.inf, {"attention": -math.inf}, [], np.zeros((0, 0), np.float32))
"""The result where every sentence has probability 0."""


class AttentionBeamSearch(AttentionSearch, name="attention_beam"):
    """Keeps the best unfinished sentences after each token; those of all utterances take their next token in one step.

    Of all that the sentences on the beam can become by one token, the ``beam_size`` best are looked at; those of them
    that end are results, and the ``beam_size`` best that do not end go on. An utterance is done when no sentence on its beam
    can still become one of the n best: no token and no end has a probability above 1, so a score can only fall, but for
    the length bonus, of which the most that can come is added. (Scorers may raise it; see ``stop_margin``.)

    ``score`` is ``log p(tokens and end | audio)`` plus what scorers and length bonus add, divided by
    ``(number of tokens + 1) ** length_norm``.
    """

    class Config(AttentionSearch.Config, FusionConfig):
        """Options of the attention beam search."""

        beam_size: int = Field(10, ge=1)
        """Unfinished sentences kept after each token, and hypotheses ranked again by ``rescore``."""
        nbest: int = Field(1, ge=1)
        """Hypotheses returned, at most; no more than beam_size."""
        length_norm: float = Field(0.0, ge=0)
        """Exponent of the number of tokens (the end is one) that scores are divided by; 0: none, 1: score per token."""
        stop_margin: float = Field(20.0, ge=0)
        """Nats that scorers are expected to add to an unfinished sentence at most; only read where there are scorers. 0 is
        safe for language models with a positive scale."""

        @model_validator(mode="after")
        def _nbest_fits_the_beam(self) -> Self:
            if self.nbest > self.beam_size:
                raise ValueError(f"nbest: expected at most beam_size = {self.beam_size}, got {self.nbest}")
            return self

        @model_validator(mode="after")
        def _scorers_have_names_of_their_own(self) -> Self:
            if taken := sorted({"attention", "ctc"} & (self.scorers.keys() | self.rescore.keys())):
                raise ValueError(f"scorers: expected names other than {', '.join(taken)}, the network's own part of the score")
            return self

    def __init__(self, config: Config, **facts: Any) -> None:
        super().__init__(config, **facts)
        self.fusion = Fusion.build(config.scorers, config.length_bonus, **facts)
        self.rescoring = Fusion.build(config.rescore, **facts)

    def search(
        self, decoder: AttentionDecoder, encoder_out: Tensor, lens: Tensor, decoders: Mapping[str, nn.Module]
    ) -> NBest:
        """Token by token, all utterances together."""
        beam = SentenceBeam(decoder, decoder.start(encoder_out, lens), self.fusion, decoders, self.limits(lens))
        nbest = [
            [self.hypothesis(each, length) for each in sentences or [NOTHING]]
            for sentences, length in zip(beam.run(), lens.tolist(), strict=True)
        ]
        return self.ranked(nbest, decoders)

    def ranked(self, nbest: NBest, decoders: Mapping[str, nn.Module]) -> NBest:
        """The hypotheses in the order of their scores and what ``rescore`` adds, no more of them than asked for."""
        return [hypotheses[: self.config.nbest] for hypotheses in rescore(nbest, self.rescoring, decoders)]

    def limits(self, lens: Tensor) -> Limits:
        """When to stop."""
        config = self.config
        return Limits(
            beam_size=config.beam_size,
            nbest=config.beam_size if self.rescoring else config.nbest,
            tokens=self.max_lens(lens),
            candidates=config.beam_size,  # of one sentence no more can get on the beam
            length_norm=config.length_norm,
            margin=config.stop_margin,
        )

    def hypothesis(self, sentence: Sentence, num_frames: int) -> Hypothesis:
        """A sentence about an utterance of so many frames as a result."""
        return Hypothesis(
            tokens=sentence.tokens,
            score=sentence.score,
            scores=sentence.scores,
            token_times=looked_at(sentence.weights[:, :num_frames]),
            confidences=[min(1.0, math.exp(log_prob)) for log_prob in sentence.log_probs],
        )
