"""What predictors are: the part of a transducer that reads the labels so far, in training all at once, in a search one by one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.lens import padding_mask

State = tuple[Tensor, ...]
"""What a predictor remembers of N histories: tensors whose first axis is N."""


class Predictor(nn.Module, Component, kind="predictor"):
    """Maps each history of labels to one vector; also called prediction network (Graves, 2012, arXiv 1211.3711, section 2.1).

    A subclass implements :meth:`predict` for whole sequences, and :meth:`initial` and :meth:`step` for searches; both
    ways give the same vectors. The blank is the start symbol: it stands before the first label and nowhere else.

    Args:
        config: The options.
        vocabulary: The token ids.

    Attributes:
        out_dim: P, the dimension of the vectors.
    """

    class Config(ComponentConfig):
        """What all predictors share."""

        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of the embeddings and of the output of every layer."""
        token_dropout: float = Field(0.0, ge=0, lt=1)
        """Share of the labels read, the start symbol among them, that training replaces by ``<unk>``. For small corpora: the
        encoder of a transducer then learns to say when a label is due, not how likely it is that another one follows."""

    out_dim: int

    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.token_dropout = config.token_dropout

    def forward(self, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """Predict after each prefix of each sequence.

        Args:
            tokens: (B, U) int64 labels; what stands in the padding does not matter.
            token_lens: (B,) labels per sequence.

        Returns:
            (B, U + 1, P): row u is what the predictor says after the first u labels.
        """
        blank = self.vocabulary.blank_id
        tokens = tokens.masked_fill(padding_mask(token_lens, tokens.shape[1]), blank)
        history = F.pad(tokens, (1, 0), value=blank)
        if self.training and self.token_dropout:
            hidden = torch.rand(history.shape, device=history.device) < self.token_dropout
            history = history.masked_fill(hidden, self.vocabulary.unk_id)
        return self.predict(history)

    def predict(self, history: Tensor) -> Tensor:
        """(B, U + 1) labels that begin with the start symbol -> (B, U + 1, P); no position sees a later one."""
        raise NotImplementedError

    def start(self, batch_size: int) -> tuple[Tensor, State]:
        """Predict for ``batch_size`` empty histories: (B, P) and their state."""
        device = next(self.parameters()).device
        start = torch.full((batch_size,), self.vocabulary.blank_id, dtype=torch.int64, device=device)
        return self.step(start, self.initial(batch_size))

    def initial(self, batch_size: int) -> State:
        """The state before the start symbol was read."""
        raise NotImplementedError

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more label in each of N histories, which may be of different length; without dropout.

        Args:
            tokens: (N,) int64.
            state: Of the N histories; it is not changed.

        Returns:
            The predictions (N, P) and the state after them.
        """
        raise NotImplementedError

    def select(self, state: State, rows: Tensor) -> State:
        """The state of the histories ``rows`` (M,) int64, in that order, any of them any number of times."""
        return tuple(part.index_select(0, rows) for part in state)

    def concat(self, states: Sequence[State]) -> State:
        """One state of the histories of several, one after the other."""
        return tuple(torch.cat(parts) for parts in zip(*states, strict=True))
