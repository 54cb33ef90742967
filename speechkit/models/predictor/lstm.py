"""The LSTM predictor."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.predictor.base import Predictor, State
from speechkit.nn.dropout import Dropout
from speechkit.text.vocabulary import Vocabulary


class Lstm(Predictor, name="lstm"):
    """Embedding and LSTM layers, which remember the whole history (Graves et al., 2013, arXiv 1303.5778, section 3.2)."""

    class Config(Predictor.Config):
        """Options of the LSTM predictor."""

        dim: int = Field(256, ge=1)
        """Dimension of the embeddings, and cells per layer."""
        num_layers: int = Field(1, ge=1)
        """Layers."""

    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.out_dim = config.dim
        self.embedding = nn.Embedding(vocabulary.size, config.dim)
        self.dropout = Dropout(config.dropout)
        inner_dropout = config.dropout if config.num_layers > 1 else 0.0
        self.lstm = nn.LSTM(config.dim, config.dim, config.num_layers, batch_first=True, dropout=inner_dropout)

    def predict(self, history: Tensor) -> Tensor:
        """Run the LSTM over ``history`` (B, U + 1)."""
        return self.dropout(self.lstm(self.dropout(self.embedding(history)))[0])

    def initial(self, batch_size: int) -> State:
        """Zeros: hidden vectors and cells, both (N, layers, dim)."""
        zeros = self.embedding.weight.new_zeros(batch_size, self.lstm.num_layers, self.out_dim)
        return zeros, zeros

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of every layer."""
        x, after = self.embedding(tokens), []
        for weights, *before in zip(self.lstm.all_weights, *(part.unbind(1) for part in state), strict=True):
            after.append(torch.lstm_cell(x, before, *weights))
            x = after[-1][0]
        return x, tuple(torch.stack(parts, dim=1) for parts in zip(*after, strict=True))
