"""Scorers by networks that read one token at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from speechkit.decode.scorers.base import Scorer


class StepNetwork(Protocol):
    """What is asked. A *memory* is whatever the network remembers of N histories."""

    def start(self, batch_size: int) -> tuple[Tensor, Any]:
        """Log-scores (B, V) float32 of the first token, and the memory of B empty histories."""

    def step(self, tokens: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Log-scores (N, V) after one more token (N,) in each history, and the new memory; the old one is not changed."""

    def select(self, memory: Any, rows: Tensor) -> Any:
        """The memory of the histories ``rows`` (M,), any of them in any order."""

    def concat(self, memories: Sequence[Any]) -> Any:
        """One memory of the histories of several, which may be of different length."""


class State(NamedTuple):
    """N hypotheses: log-scores (N, V) of their next tokens, and what the network remembers of them."""

    network: StepNetwork
    log_scores: Tensor
    memory: Any


class StepwiseScorer(Scorer):
    """Copies the hypotheses that get no token, and lets the network read those of the others; a subclass names the network."""

    def network(self, decoders: Mapping[str, nn.Module]) -> StepNetwork:
        """The network, on the decoders' device.

        Args:
            decoders: As in :meth:`Scorer.start`.
        """
        raise NotImplementedError

    @torch.no_grad()
    def start(self, decoders: Mapping[str, nn.Module], batch_size: int) -> State:
        """The state of ``batch_size`` empty hypotheses; see :meth:`Scorer.start`."""
        network = self.network(decoders)
        return State(network, *network.start(batch_size))

    def score(self, state: State) -> Tensor:
        """Log-scores (N, V); see :meth:`Scorer.score`."""
        return state.log_scores

    @torch.no_grad()
    def advance(self, state: State, parents: Tensor, tokens: Tensor) -> State:
        """The state of M hypotheses; see :meth:`Scorer.advance`."""
        network, log_scores, memory = state
        parents, tokens = parents.to(log_scores.device), tokens.to(log_scores.device)
        grows = tokens != self.vocabulary.blank_id
        if not grows.any():
            return State(network, log_scores[parents], network.select(memory, parents))
        grown, new = network.step(tokens[grows], network.select(memory, parents[grows]))
        if grows.all():
            return State(network, grown, new)
        waiting = parents[~grows]
        # The copied ones first, then those that grew: the places of each in the order that is wanted.
        places = torch.where(grows, len(waiting) + grows.cumsum(0) - 1, (~grows).cumsum(0) - 1)
        memory = network.select(network.concat([network.select(memory, waiting), new]), places)
        return State(network, torch.cat([log_scores[waiting], grown])[places], memory)
