"""The stateless predictor."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.predictor.base import Predictor, State
from speechkit.nn.dropout import Dropout
from speechkit.text.vocabulary import Vocabulary


class Stateless(Predictor, name="stateless"):
    """``relu(sum_j W_j embedding(y_{u-j}))`` over the last k labels (Ghodsi et al., 2020, "RNN-transducer with stateless
    prediction network", for k = 1).

    ``W_j`` are block-diagonal: a grouped convolution over the labels. Positions before the start hold the start symbol.
    Differs from the paper: with k = 1 as well there is a projection and relu behind the embedding.
    """

    class Config(Predictor.Config):
        """Options of the stateless predictor."""

        dim: int = Field(256, ge=1)
        """Dimension of the embeddings and of the output."""
        context_size: int = Field(2, ge=1)
        """k, how many of the last labels are seen."""
        group_size: int = Field(4, ge=1)
        """Channels of the convolution that see each other; a divisor of dim."""

    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        if config.dim % config.group_size:
            raise ValueError(f"group_size: expected a divisor of dim {config.dim}, got {config.group_size}; change one of them")
        self.out_dim, self.context_size = config.dim, config.context_size
        self.embedding = nn.Embedding(vocabulary.size, config.dim)
        self.dropout = Dropout(config.dropout)
        fan_in = config.context_size * config.group_size
        # (groups, k * inputs, outputs): one small product per group, where a convolution of one window would be slow.
        self.weight = nn.Parameter(torch.empty(config.dim // config.group_size, fan_in, config.group_size))
        nn.init.uniform_(self.weight, -math.sqrt(3 / fan_in), math.sqrt(3 / fan_in))

    def predict(self, history: Tensor) -> Tensor:
        """Look at the last k labels at every position of ``history`` (B, U + 1)."""
        padded = F.pad(history, (self.context_size - 1, 0), value=self.vocabulary.blank_id)
        embedded = self.dropout(self.embedding(padded))  # embed each label once, then take windows
        return self.dropout(self._convolve(embedded.unfold(1, self.context_size, 1).transpose(-1, -2)))

    def _convolve(self, windows: Tensor) -> Tensor:
        """Embeddings (..., k, D), oldest first -> (..., D)."""
        groups, fan_in, _ = self.weight.shape
        rows = windows.flatten(0, -3).unflatten(-1, (groups, -1)).permute(2, 0, 1, 3)  # (groups, N, k, inputs)
        out = torch.bmm(rows.reshape(groups, -1, fan_in), self.weight)  # (groups, N, outputs)
        return out.transpose(0, 1).reshape(*windows.shape[:-2], self.out_dim).relu()

    def initial(self, batch_size: int) -> State:
        """The last k labels (N, k): blanks."""
        shape = (batch_size, self.context_size)
        return (torch.full(shape, self.vocabulary.blank_id, dtype=torch.int64, device=self.weight.device),)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Forget the oldest label and look at the others."""
        labels = torch.cat([state[0][:, 1:], tokens.unsqueeze(1)], dim=1)
        return self._convolve(self.embedding(labels)), (labels,)
