"""Frame-synchronous beam search of transducers."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from speechkit.decode.transducer_base import TransducerSearch
from speechkit.decode.transducer_beam_base import End, TransducerBeamBase, at, end, with_rows
from speechkit.decode.transducer_lattice import (
    BEST,
    MASS,
    OWNER,
    Beam,
    History,
    Move,
    advance,
    empty_beam,
    join,
)
from speechkit.decode.transducer_rows import Rows


class TransducerBeamSearch(TransducerBeamBase, name="transducer_beam"):
    """Keeps the best label sequences after each frame, and adds up the alignments of each.

    With ``max_symbols_per_frame: 1`` the modified beam search (Kang et al., 2023, "Fast and parallel decoding for
    transducer", arXiv 2211.00484): each hypothesis takes one symbol per frame. Otherwise time-synchronous decoding (Saon et
    al., 2020, "Alignment-length synchronous decoding for RNN transducer", section 2): within a frame hypotheses grow by
    one label after the other until none of them can get on the beam, and each of them ends the frame with a blank.

    ``score`` is the log-probability of the labels, summed over the alignments that stayed on the beam, plus what scorers and
    length bonus add: exact when the beam holds all sequences, else a lower bound. With one hypothesis on the beam and one
    symbol per frame it is the greedy search. All hypotheses of all utterances go through the networks together.

    Differs from the papers: equal hypotheses are merged before any is dropped.
    """

    class Config(TransducerBeamBase.Config, TransducerSearch.PerFrameConfig):
        """Options of the frame-synchronous transducer beam search."""

    def run(self, rows: Rows, encoded: Tensor, lens: np.ndarray, history: History) -> list[list[End]]:
        """Go through the frames, all utterances together."""
        beam, ends = empty_beam(len(lens)), [[] for _ in lens]
        for frame in range(int(lens.max(initial=0)) + 1):
            beam, rows = end(ends, beam, rows, lens[beam.ids[:, OWNER]] == frame)
            if len(beam.ids) == 0:
                break
            frames = np.full(len(beam.ids), frame)
            if self.config.max_symbols_per_frame == 1:
                beam, rows = self.advance(beam, rows, encoded, frames, history, np.ones(len(frames), dtype=np.bool_))
            else:
                beam, rows = self._expand(beam, rows, encoded, frame, history)
        return ends

    def _expand(self, beam: Beam, rows: Rows, encoded: Tensor, frame: int, history: History) -> tuple[Beam, Rows]:
        """Every hypothesis takes any number of labels, up to the limit, and then a blank."""
        # All hypotheses of this frame stay in ``rows``; those of the beam, with k labels of this frame, are the last ones.
        first, limit, size = 0, self.config.max_symbols_per_frame, self.config.beam_size
        ended, places = beam.take(np.zeros(0, dtype=np.int64)), np.zeros(0, dtype=np.int64)
        for k in range(limit + 1):
            count = len(beam.ids)
            frames = np.full(count, frame)
            log_probs = rows.log_probs(at(encoded, beam, frames), first)
            blanked = Beam(beam.ids, beam.scores.copy())
            blanked.scores[:, [MASS, BEST]] += log_probs[:, self.blank_id, None]
            ended, kept, worst = join(ended, blanked, size, len(encoded))
            places = np.concatenate([places, np.arange(first, first + count)])[kept]
            if k == limit:
                break
            stay, grow = np.zeros(count, dtype=np.bool_), np.ones(count, dtype=np.bool_)
            move = Move(log_probs, rows.added(first), frames, stay, grow, worst[beam.ids[:, OWNER]])
            beam, parents, tokens = advance(beam, move, self.blank_id, size, history)
            if len(beam.ids) == 0:
                break
            old = np.arange(first + count)
            blanks = np.full(len(old), self.blank_id)
            rows = rows.advance(np.concatenate([old, first + parents]), np.concatenate([blanks, tokens]))
            beam, _ = with_rows(beam, rows, len(old))
            first = len(old)
        return ended, rows.select(places)
