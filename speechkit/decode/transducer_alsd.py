"""Alignment-length synchronous search of transducers."""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field
from torch import Tensor

from speechkit.decode.transducer_beam_base import End, TransducerBeamBase, end
from speechkit.decode.transducer_lattice import LENGTH, OWNER, History, empty_beam
from speechkit.decode.transducer_rows import Rows


class TransducerAlsdSearch(TransducerBeamBase, name="transducer_alsd"):
    """Compares hypotheses with the same number of symbols, blanks included (Saon et al., 2020, "Alignment-length synchronous
    decoding for RNN transducer", algorithm 1).

    After i symbols a hypothesis of u labels stands in frame i - u; it takes a label or a blank, and ends with the blank of
    the last frame. This is the search for regular models whose frames may hold many labels, because each step is one call
    of the networks for all hypotheses of all utterances.

    ``score`` is the log-probability of the labels, summed over the alignments that stayed on the beam, plus what scorers and
    length bonus add: exact when the beam holds all sequences, else a lower bound.

    Differs from the paper: equal hypotheses are merged before any is dropped; and without scorers the search of an utterance
    stops when no other hypothesis can become as likely as the n-best of those that ended.
    """

    class Config(TransducerBeamBase.Config):
        """Options of the alignment-length synchronous transducer search."""

        max_tokens_per_frame: float = Field(1.0, gt=0.0)
        """Labels of a hypothesis, at most, per frame of the utterance; rounded up."""

    def run(self, rows: Rows, encoded: Tensor, lens: np.ndarray, history: History) -> list[list[End]]:
        """Step by step, all utterances together."""
        beam, ends = empty_beam(len(lens)), [[] for _ in lens]
        most = np.ceil(lens * self.config.max_tokens_per_frame).astype(np.int64)
        steps = 0
        while True:
            ended = steps - beam.ids[:, LENGTH] == lens[beam.ids[:, OWNER]]
            beam, rows = end(ends, beam, rows, ended)
            if not self.fusion and steps:  # scores only fall
                bars = np.array([self._bar(each) for each in ends])
                keep = beam.totals() > bars[beam.ids[:, OWNER]]
                if not keep.all():
                    beam, rows = beam.take(keep), rows.select(np.flatnonzero(keep))
            if len(beam.ids) == 0:
                return ends
            frames, may_grow = steps - beam.ids[:, LENGTH], beam.ids[:, LENGTH] < most[beam.ids[:, OWNER]]
            beam, rows = self.advance(beam, rows, encoded, frames, history, may_grow)
            steps += 1

    def _bar(self, ends: list[End]) -> float:
        """What a hypothesis must score to get among the n-best of those that ended."""
        scores = sorted((end.score for end in ends), reverse=True)
        return scores[self.config.nbest - 1] if len(scores) >= self.config.nbest else -math.inf
