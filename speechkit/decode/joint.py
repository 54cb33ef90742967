"""Joint CTC/attention beam search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from speechkit.decode.attention_beam import NOTHING, AttentionBeamSearch
from speechkit.decode.base import FRAMES, Hypothesis, NBest
from speechkit.decode.ctc_prefix_score import CtcPrefixScorer
from speechkit.decode.sentence_beam import Limits, SentenceBeam
from speechkit.graphs.aligner import align_ctc
from speechkit.models.decoder.attention import AttentionDecoder

CTC = replace(FRAMES, option="ctc_objective")


class JointSearch(AttentionBeamSearch, name="joint"):
    """One-pass decoding with both decoders of a hybrid model (Watanabe et al., 2017, "Hybrid CTC/attention architecture for
    end-to-end speech recognition", section III-B): CTC keeps attention from skipping and repeating.

    Sentences grow as in ``attention_beam``. One that has not ended is ranked by ``(1 - w) log p_attention(h) + w log psi(h)``,
    where psi is the probability by CTC that the transcript begins with h; one that has by
    ``(1 - w) log p_attention(h, end) + w log p_ctc(h)``, the two objectives of training.

    Token times are those of the likeliest CTC path; a confidence is the mean of the probability that attention gave the
    token and its highest one by CTC in its frames, weighted like the scores.
    """

    class Config(AttentionBeamSearch.Config):
        """Options of the joint CTC/attention beam search."""

        ctc_objective: str | None = None
        """Name of the objective whose decoder scores frames; null takes the first that does."""
        ctc_weight: float = Field(0.3, ge=0, le=1)
        """w: share of CTC in the score; attention has the rest."""
        candidate_ratio: float = Field(1.5, ge=1)
        """CTC is asked about the beam_size times so many best tokens by attention and scorers; about all for a ctc_weight of
        1, where attention says nothing."""

    reads = (*AttentionBeamSearch.reads, CTC)
    topology = "ctc"

    def search(
        self, decoder: AttentionDecoder, encoder_out: Tensor, lens: Tensor, decoders: Mapping[str, nn.Module]
    ) -> NBest:
        """Token by token, all utterances together."""
        frames = self.pick_decoder(decoders, CTC)
        log_probs = frames(encoder_out)
        ctc = CtcPrefixScorer(log_probs, lens, self.blank_id)
        start, weight = decoder.start(encoder_out, lens), self.config.ctc_weight
        beam = SentenceBeam(decoder, start, self.fusion, decoders, self.limits(lens), ctc, weight)
        rows = [row[:length] for row, length in zip(log_probs.double().cpu().numpy(), lens.tolist(), strict=True)]
        nbest = [
            [timed_by_ctc(self.hypothesis(each, len(row)), row, self.blank_id, weight) for each in sentences or [NOTHING]]
            for sentences, row in zip(beam.run(), rows, strict=True)
        ]
        return self.ranked(nbest, decoders)

    def limits(self, lens: Tensor) -> Limits:
        """When to stop; CTC is asked about a few more tokens than get on the beam."""
        config = self.config
        some = math.ceil(config.candidate_ratio * config.beam_size)
        return replace(super().limits(lens), candidates=self.vocabulary.size if config.ctc_weight == 1 else some)


def timed_by_ctc(hypothesis: Hypothesis, log_probs: np.ndarray, blank_id: int, weight: float) -> Hypothesis:
    """The hypothesis with the times of its likeliest CTC path, and confidences that CTC has a share ``weight`` in.

    Args:
        hypothesis: With times and confidences of its own, which it keeps where no CTC path spells it.
        log_probs: (S, V) float64, of its utterance.
        blank_id: Id of the blank.
        weight: In [0, 1].
    """
    path = align_ctc(log_probs, hypothesis.tokens, blank_id)
    if path.score == -math.inf:
        return hypothesis
    own = hypothesis.confidences
    confidences = [(1.0 - weight) * a + weight * b for a, b in zip(own, path.confidences, strict=True)]
    return replace(hypothesis, token_times=path.token_times, confidences=confidences)
