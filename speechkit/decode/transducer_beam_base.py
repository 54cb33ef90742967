"""What the beam searches of transducers share: scorers, options, and how hypotheses end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.decode.base import NBest
from speechkit.decode.rescore import rescore
from speechkit.decode.scorers.fusion import Fusion, FusionConfig
from speechkit.decode.transducer_base import TransducerSearch, hypothesis
from speechkit.decode.transducer_lattice import ADDED, LINK, MASS, OWNER, Beam, History, Move, advance
from speechkit.decode.transducer_rows import Rows
from speechkit.models.decoder.transducer import Transducer
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary


class End(NamedTuple):
    """A hypothesis that reached the end of its utterance."""

    score: float
    mass: float  # log-probability of its alignments
    link: int  # its last emission, in the history
    parts: dict[str, float]  # what each scorer gave it


class TransducerBeamBase(TransducerSearch):
    """A search with a beam; it implements :meth:`run`."""

    class Config(TransducerSearch.Config, FusionConfig):
        """What the beam searches of transducers share."""

        beam_size: int = Field(10, ge=1)
        """Hypotheses kept at each step, per utterance."""
        nbest: int = Field(1, ge=1)
        """Hypotheses returned, at most; no more than beam_size."""

        @model_validator(mode="after")
        def _nbest_fits_the_beam(self) -> TransducerBeamBase.Config:
            if self.nbest > self.beam_size:
                raise ValueError(f"nbest: expected at most beam_size = {self.beam_size}, got {self.nbest}")
            return self

    def __init__(
        self,
        config: Config,
        *,
        vocabulary: Vocabulary,
        tokenizer: Tokenizer | None = None,
        model_dir: Path | None = None,
    ) -> None:
        super().__init__(config, vocabulary=vocabulary, tokenizer=tokenizer, model_dir=model_dir)
        facts = {"vocabulary": vocabulary, "tokenizer": tokenizer, "model_dir": model_dir}
        self.fusion = Fusion.build(config.scorers, config.length_bonus, **facts)
        self.rescoring = Fusion.build(config.rescore, **facts)

    def search(self, decoder: Transducer, encoded: Tensor, lens: list[int], decoders: Mapping[str, nn.Module]) -> NBest:
        """Search a batch, and rank its n-best again where the config asks for it."""
        rows, history = Rows.start(decoder, self.fusion, decoders, len(lens)), History()
        ends = self.run(rows, encoded, np.array(lens, dtype=np.int64), history)
        nbest = []
        for ended in ends:
            best = sorted(ended, key=lambda end: -end.score)[: self.config.nbest]
            nbest.append([hypothesis(history.emissions(e.link), e.score, {"transducer": e.mass, **e.parts}) for e in best])
        return rescore(nbest, self.rescoring, decoders)

    def run(self, rows: Rows, encoded: Tensor, lens: np.ndarray, history: History) -> list[list[End]]:
        """Find the hypotheses of each utterance.

        Args:
            rows: One hypothesis without labels for each utterance.
            encoded: (B, S, J) projected encodings.
            lens: (B,) frames of each utterance.
            history: Takes the emissions.
        """
        raise NotImplementedError

    def advance(
        self, beam: Beam, rows: Rows, encoded: Tensor, frames: np.ndarray, history: History, may_grow: np.ndarray
    ) -> tuple[Beam, Rows]:
        """Let every hypothesis, standing in its frame of ``frames`` (N,), take a blank or, where it may, a label."""
        size = len(frames)
        log_probs = rows.log_probs(at(encoded, beam, frames))
        floors = np.full(size, -np.inf)
        move = Move(log_probs, rows.added(), frames, np.ones(size, dtype=np.bool_), may_grow, floors)
        beam, parents, tokens = advance(beam, move, self.blank_id, self.config.beam_size, history)
        return with_rows(beam, rows.advance(parents, tokens))


def at(encoded: Tensor, beam: Beam, frames: np.ndarray) -> Tensor:
    """The encodings (N, J) of the frames (N,) where the hypotheses stand."""
    index = torch.from_numpy(beam.ids[:, OWNER] * encoded.shape[1] + frames)
    return encoded.flatten(0, 1).index_select(0, index.to(encoded.device))


def with_rows(beam: Beam, rows: Rows, first: int = 0) -> tuple[Beam, Rows]:
    """Both, with what the scorers say that they added to the rows from ``first`` on, which are those of the beam."""
    beam.scores[:, ADDED] = rows.totals(first)
    return beam, rows


def end(ends: list[list[End]], beam: Beam, rows: Rows, which: np.ndarray) -> tuple[Beam, Rows]:
    """Add to ``ends`` the hypotheses where ``which`` (N,) is True; returns the others."""
    if not which.any():
        return beam, rows
    finals, parts = rows.select(np.flatnonzero(which)).finals()
    done = beam.take(which)
    scores = done.totals() + finals
    for owner, link, score, mass, part in zip(done.ids[:, OWNER], done.ids[:, LINK], scores, done.scores[:, MASS], parts):
        ends[owner].append(End(float(score), float(mass), int(link), part))
    return beam.take(~which), rows.select(np.flatnonzero(~which))
