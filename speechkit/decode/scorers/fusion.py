"""Any number of scorers as one: their scaled sum for the search, and what each of them said for the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import model_validator
from torch import Tensor, nn

from speechkit.config import Choice, Config
from speechkit.decode.scorers.base import Scorer
from speechkit.text.vocabulary import Vocabulary


class FusionConfig(Config):
    """Options of every search that takes scorers; a search's Config inherits them."""

    scorers: dict[str, Choice[Scorer]] = {}
    """What is added to the network's scores while searching, by names of your own (``lm``, ``hotwords``): the names of the
    score parts in the results."""
    length_bonus: float = 0.0
    """Nats per token, against the preference for short results that language models bring."""
    rescore: dict[str, Choice[Scorer]] = {}
    """Scorers that rank the n-best again after the search, each by its total score times its scale."""

    @model_validator(mode="after")
    def _names_differ(self) -> FusionConfig:
        if both := sorted(self.scorers.keys() & self.rescore.keys()):
            raise ValueError(f"rescore: expected other names than in scorers, got {', '.join(both)} in both")
        return self


@dataclass(frozen=True)
class FusionState:
    """What the scorers know of N hypotheses; it is never changed.

    Args:
        log_scores: (N, V) float32, nats: what each token would add to a hypothesis, scaled and summed over the scorers, the
            length bonus included; in the column of ``eos_id`` what ending there would add. The blank's column is not read.
        totals: (N,) float64, nats: what the tokens of each hypothesis have added.
        parts: (N, P) float64, nats: the same by scorer, not scaled.
        rows: Of each scorer (N, V), not scaled.
        states: Of each scorer its own.
    """

    log_scores: Tensor
    totals: Tensor
    parts: Tensor
    rows: tuple[Tensor, ...]
    states: tuple[Any, ...]


class Fusion:
    """Adds up scorers for a search::

        fusion = Fusion.build(config.scorers, config.length_bonus, vocabulary=..., tokenizer=..., model_dir=...)
        state = fusion.start(decoders, batch_size, device)   # empty hypotheses
        state.log_scores                                     # (N, V), to be added to the network's scores
        state = fusion.advance(state, parents, tokens)       # M hypotheses grown from the N; blank: no token
        fusion.final(state)                                  # (N,) what ending now adds on top of state.totals
        fusion.parts(state, ended=True)                      # the parts for Hypothesis.scores

    Args:
        scorers: By name.
        length_bonus: Nats per token.
        vocabulary: The token ids.
    """

    def __init__(self, scorers: Mapping[str, Scorer], length_bonus: float, vocabulary: Vocabulary) -> None:
        self.scorers = dict(scorers)
        self.length_bonus = length_bonus
        self.vocabulary = vocabulary
        self.scales = [scorer.config.scale for scorer in self.scorers.values()]

    @classmethod
    def build(
        cls, configs: Mapping[str, Scorer.Config], length_bonus: float = 0.0, *, vocabulary: Vocabulary, **facts: Any
    ) -> Fusion:
        """Build the scorers of a search's options; ``facts`` are ``tokenizer`` and ``model_dir``."""
        built = {name: config.build(vocabulary=vocabulary, **facts) for name, config in configs.items()}
        return cls(built, length_bonus, vocabulary)

    def __bool__(self) -> bool:
        """Whether there is anything to add."""
        return bool(self.scorers) or self.length_bonus != 0

    def start(
        self, decoders: Mapping[str, nn.Module], batch_size: int, device: torch.device | str = "cpu"
    ) -> FusionState:
        """The state of ``batch_size`` empty hypotheses.

        Args:
            decoders: The model's, by the name of their objective.
            batch_size: B.
            device: Where the search wants the scores; scorers may compute elsewhere.
        """
        states = tuple(scorer.start(decoders, batch_size) for scorer in self.scorers.values())
        parts = torch.zeros(batch_size, len(states), dtype=torch.float64, device=device)
        return self._state(states, parts, parts.new_zeros(batch_size))

    def advance(self, state: FusionState, parents: Tensor, tokens: Tensor) -> FusionState:
        """The state of M hypotheses; arguments (M,) as in :meth:`Scorer.advance`."""
        device = state.totals.device
        states = tuple(
            scorer.advance(each, parents, tokens) for scorer, each in zip(self.scorers.values(), state.states, strict=True)
        )
        parents, tokens = parents.to(device), tokens.to(device)
        spoken = (tokens != self.vocabulary.blank_id).double()
        gains = [row[parents, tokens].double() * spoken for row in state.rows]
        parts = state.parts[parents]
        totals = state.totals[parents] + self.length_bonus * spoken
        if gains:
            parts = parts + torch.stack(gains, dim=1)
            totals = totals + sum(scale * gain for scale, gain in zip(self.scales, gains, strict=True))
        return self._state(states, parts, totals)

    def final(self, state: FusionState) -> Tensor:
        """(N,) float64, nats: what the scorers add where each hypothesis ends now."""
        return state.log_scores[:, self.vocabulary.eos_id].double()

    def parts(self, state: FusionState, ended: bool = True) -> list[dict[str, float]]:
        """For each hypothesis what each scorer gave it in all, in nats and not scaled, with its end if ``ended``."""
        parts = state.parts
        if ended and state.rows:
            parts = parts + torch.stack([row[:, self.vocabulary.eos_id].double() for row in state.rows], dim=1)
        return [dict(zip(self.scorers, row)) for row in parts.tolist()]

    def _state(self, states: tuple[Any, ...], parts: Tensor, totals: Tensor) -> FusionState:
        rows = tuple(
            scorer.score(each).to(totals.device) for scorer, each in zip(self.scorers.values(), states, strict=True)
        )
        log_scores = totals.new_full((len(totals), self.vocabulary.size), self.length_bonus, dtype=torch.float32)
        log_scores[:, self.vocabulary.eos_id] = 0.0
        for scale, row in zip(self.scales, rows, strict=True):
            log_scores.add_(row, alpha=scale)
        return FusionState(log_scores, totals, parts, rows, states)
