"""What scorers share whose states are those of an automaton with backoff arcs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.decode.scorers.base import Scorer
from speechkit.graphs.backoff import BackoffGraph


class GraphScorer(Scorer):
    """Weights of an automaton; a subclass sets the attributes. A hypothesis' state is one number.

    The automaton stays in main memory, also when the search runs on a GPU: a compiled loop finds the rows of a hundred
    hypotheses faster than the GPU could start the operations that find them there.

    Attributes:
        graph: Over symbols 0 .. V-1, the last of which is the end.
        symbols: (V,) which symbol of the graph each token is.
        default: Nats, of tokens that the graph has no arc for, where it has backed off as far as it can.
    """

    graph: BackoffGraph
    symbols: np.ndarray
    default: float

    def start(self, decoders: Mapping[str, nn.Module], batch_size: int) -> Tensor:
        """The state of ``batch_size`` empty hypotheses; see :meth:`Scorer.start`."""
        return torch.full((batch_size,), self.graph.start)

    def score(self, state: Tensor) -> Tensor:
        """Weights (N, V); see :meth:`Scorer.score`."""
        rows = self.graph.rows(state.numpy(), self.default)
        return torch.from_numpy(rows if self._same_symbols else rows[:, self.symbols])

    def advance(self, state: Tensor, parents: Tensor, tokens: Tensor) -> Tensor:
        """The states (M,) after one token each; see :meth:`Scorer.advance`."""
        tokens = tokens.cpu()
        before = state[parents.cpu()]
        after = torch.from_numpy(self.graph.next_states(before.numpy(), self.symbols[tokens.numpy()]))
        return torch.where(tokens == self.vocabulary.blank_id, before, after)

    @property
    def _same_symbols(self) -> bool:
        return bool((self.symbols == np.arange(len(self.symbols))).all())
