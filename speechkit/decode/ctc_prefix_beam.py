"""CTC prefix beam search: the likeliest token sequences, each with the probability of all the paths that spell it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.decode import ctc_prefix_kernel as kernel
from speechkit.decode.base import FRAMES, FrameSearch, Hypothesis, NBest, checked_utterances
from speechkit.decode.rescore import rescore
from speechkit.decode.scorers.fusion import Fusion, FusionConfig, FusionState
from speechkit.graphs.aligner import align_ctc

NO_DECODERS: Mapping[str, nn.Module] = MappingProxyType({})


class CtcPrefixBeamSearch(FrameSearch, name="ctc_prefix_beam"):
    """Prefix search (Graves 2006, section 3.2) with a beam (Hannun et al. 2014, arXiv:1408.2873, algorithm 1).

    A prefix keeps two probabilities, of the paths that spell it and end in a blank, and of those that end in its last
    token. With c the last token of h and h' the prefix without it::

        p_blank(t, h) = p(t, blank) * (p_blank(t-1, h) + p_token(t-1, h))
        p_token(t, h) = p(t, c) * (p_token(t-1, h) + p_blank(t-1, h') + [c is not the last of h'] * p_token(t-1, h'))

    so paths that spell the same prefix are always added up, also where a prefix left the beam and came back.
    The part ``ctc`` of the score is the logarithm of that sum: log p(tokens | audio) when the beam is wide enough to hold
    all prefixes, else a lower bound of it. With one prefix on the beam it is not the greedy search (that one follows a
    path, this one the sum of several), but the two agree where every frame has a token of probability 3/4 or more.

    ``score`` is that part and, where there are scorers or a length bonus, what they add: a prefix competes on the beam with
    what its tokens have got so far, and at the end with what the scorers say of ending there. All prefixes of all
    utterances are scored together, once per frame in which new ones appear.

    Token times and confidences are those of the likeliest single path that spells the tokens.
    """

    class Config(FrameSearch.Config, FusionConfig):
        """Options of the CTC prefix beam search."""

        beam_size: int = Field(10, ge=1)
        """Prefixes kept after each frame, and ranked again by ``rescore``."""
        nbest: int = Field(1, ge=1)
        """Hypotheses returned, at most; no more than beam_size."""
        min_token_prob: float = Field(0.0, ge=0.0, lt=1.0)
        """A token less probable than this in a frame, and not its best one, starts no new prefix there; 0: all do."""

        @model_validator(mode="after")
        def _nbest_fits_the_beam(self) -> CtcPrefixBeamSearch.Config:
            if self.nbest > self.beam_size:
                raise ValueError(f"nbest: expected at most beam_size = {self.beam_size}, got {self.nbest}")
            return self

        @model_validator(mode="after")
        def _no_scorer_is_called_ctc(self) -> CtcPrefixBeamSearch.Config:
            for option in ("scorers", "rescore"):
                if "ctc" in getattr(self, option):
                    raise ValueError(f"{option}: expected names other than ctc, which is the network's own part of the score")
            return self

    def __init__(self, config: Config, **facts: Any) -> None:
        super().__init__(config, **facts)
        self.fusion = Fusion.build(config.scorers, config.length_bonus, **facts)
        self.rescoring = Fusion.build(config.rescore, **facts)
        self.floor = math.log(config.min_token_prob) if config.min_token_prob > 0 else -math.inf

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """Search the frames' distributions; see :meth:`Search.decode`."""
        decoder = self.pick_decoder(decoders, FRAMES)
        return self(decoder(encoder_out), encoder_out_lens, decoders)

    def __call__(self, log_probs: Tensor, lens: Tensor, decoders: Mapping[str, nn.Module] = NO_DECODERS) -> NBest:
        """Search each utterance of a batch of distributions; see :meth:`FrameSearch.__call__`.

        Args:
            log_probs: (B, S, V) nats.
            lens: (B,) frames.
            decoders: The model's, by the name of their objective, for scorers that ask the network.
        """
        utterances = checked_utterances(log_probs, lens)
        with torch.inference_mode():
            if self.fusion and utterances:
                nbest = self._search_fused(utterances, decoders)
            else:
                nbest = [self.search(utterance) for utterance in utterances]
            return [hypotheses[: self.config.nbest] for hypotheses in rescore(nbest, self.rescoring, decoders)]

    def search(self, log_probs: np.ndarray) -> list[Hypothesis]:
        """Search one utterance without scorers: (S, V) log-probabilities -> hypotheses, best first."""
        beam_size = self.config.beam_size
        # At most beam_size extensions of one prefix get on the next beam, and at most beam_size + 1 tokens before them are
        # no such extension: the blank, the repeated last token, and those that lead to the other prefixes.
        limit = min(2 * beam_size + 1, log_probs.shape[1])
        ranked = torch.from_numpy(log_probs).topk(limit, dim=-1).indices.numpy()
        beam = kernel.search(log_probs, ranked, self.blank_id, beam_size, self.floor, kernel.NO_GAINS)
        scores = np.logaddexp(beam.mass[:, 0], beam.mass[:, 1]).tolist()
        best = list(zip(beam.nodes.tolist(), scores))[: self._num_hypotheses]
        return [self._hypothesis(kernel.spell(beam.trie, node), score, log_probs) for node, score in best]

    @property
    def _num_hypotheses(self) -> int:
        return self.config.beam_size if self.rescoring else self.config.nbest

    def _hypothesis(self, tokens: list[int], score: float, log_probs: np.ndarray) -> Hypothesis:
        path = align_ctc(log_probs, tokens, self.blank_id)
        return Hypothesis(tokens, score, {"ctc": score}, path.token_times, path.confidences)

    # --- with scorers -------------------------------------------------------------------------------------------

    def _search_fused(self, utterances: list[np.ndarray], decoders: Mapping[str, nn.Module]) -> NBest:
        """Search a batch, frame by frame, so that the scorers meet the prefixes of all utterances at once."""
        beam_size = self.config.beam_size
        # A scorer may lift any token, so all are looked at; those too unlikely for what scorers can lift are soon done with.
        ranked = [np.argsort(-each, axis=1) for each in utterances]
        beams = [kernel.start(len(each), beam_size) for each in utterances]
        fused = _Fused(self.fusion, self.fusion.start(decoders, len(utterances)))
        for t in range(max(map(len, utterances))):
            origins: list[np.ndarray | None] = [None] * len(utterances)
            for b, frames in enumerate(utterances):
                if t < len(frames):
                    floor, gains = self.floor, fused.gains(b)
                    beams[b], origins[b] = kernel.step(
                        beams[b], frames[t], ranked[b][t], self.blank_id, beam_size, floor, gains
                    )
            fused.follow(origins)
        totals, parts = fused.finish()
        found: NBest = []
        for b, (beam, frames) in enumerate(zip(beams, utterances)):
            ctc = np.logaddexp(beam.mass[:, 0], beam.mass[:, 1])
            scores = ctc + totals[fused.rows[b]]
            found.append([])
            for k in np.argsort(-scores, kind="stable")[: self._num_hypotheses].tolist():
                hypothesis = self._hypothesis(kernel.spell(beam.trie, beam.nodes[k]), float(ctc[k]), frames)
                named = {**hypothesis.scores, **parts[fused.rows[b][k]]}
                found[b].append(replace(hypothesis, score=float(scores[k]), scores=named))
        return found


class _Fused:
    """What the scorers say of the prefixes on all beams; ``rows`` tells where in their state each prefix is."""

    def __init__(self, fusion: Fusion, state: FusionState) -> None:
        self.fusion = fusion
        self.rows = [np.array([b]) for b in range(len(state.totals))]
        self._set(state)

    def _set(self, state: FusionState) -> None:
        self.state = state
        self.totals, self.tokens = state.totals.numpy(), state.log_scores.numpy()
        self.best = self.tokens.max(axis=1)

    def gains(self, utterance: int) -> kernel.Gains:
        """What the scorers add to the prefixes of one utterance."""
        rows = self.rows[utterance]
        return kernel.Gains(self.totals[rows], rows, self.tokens, self.best)

    def follow(self, origins: list[np.ndarray | None]) -> None:
        """Let the prefixes take the step that the beams took; None: the utterance has ended and stays as it is."""
        self.rows = [rows if origin is None else rows[origin[:, 0]] for rows, origin in zip(self.rows, origins)]
        tokens = np.concatenate(
            [np.full(len(rows), kernel.STAY) if origin is None else origin[:, 1] for rows, origin in zip(self.rows, origins)]
        )
        if (tokens == kernel.STAY).all():
            return
        tokens[tokens == kernel.STAY] = self.fusion.vocabulary.blank_id
        parents = torch.from_numpy(np.concatenate(self.rows))
        self._set(self.fusion.advance(self.state, parents, torch.from_numpy(tokens)))
        ends = np.cumsum([len(rows) for rows in self.rows])
        self.rows = [np.arange(end - len(rows), end) for rows, end in zip(self.rows, ends)]

    def finish(self) -> tuple[np.ndarray, list[dict[str, float]]]:
        """What the scorers have given, their say on the end included: in all (N,), and by part."""
        return (self.state.totals + self.fusion.final(self.state)).numpy(), self.fusion.parts(self.state)
