"""The Transformer predictor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.encoder.transformer import TransformerLayer
from speechkit.models.predictor.base import Predictor, State
from speechkit.nn.activation import Activation
from speechkit.nn.attention import causal_mask
from speechkit.nn.position import Position, SinusoidalPosition
from speechkit.text.vocabulary import Vocabulary


class Transformer(Predictor, name="transformer"):
    """Causal Transformer layers over the labels (Zhang et al., 2020, "Transformer transducer", arXiv 2002.02562, section 3).

    Differs from the paper: sinusoids of the place in the sentence instead of relative positions.
    """

    class Config(Predictor.Config):
        """Options of the Transformer predictor."""

        dim: int = Field(256, ge=1)
        """Model dimension D."""
        num_layers: int = Field(2, ge=1)
        """Layers."""
        num_heads: int = Field(4, ge=1)
        """Attention heads; a divisor of dim."""
        ff_dim: int = Field(1024, ge=1)
        """Inner dimension of the feed-forward modules."""
        activation: Activation = "relu"
        """Activation in the feed-forward modules."""
        attention_dropout: float = Field(0.0, ge=0, lt=1)
        """Dropout probability of attention weights."""
        left_context: int | None = Field(None, ge=0)
        """Labels before its own that each position of a layer sees; null: all."""

        @property
        def position(self) -> Position:
            """What :class:`TransformerLayer` picks its attention by."""
            return "sinusoidal"

    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.out_dim = config.dim
        self.window = None if config.left_context is None else config.left_context + 1
        self.embedding = nn.Embedding(vocabulary.size, config.dim)
        nn.init.normal_(self.embedding.weight, std=config.dim**-0.5)  # the position module scales by sqrt(D)
        self.position = SinusoidalPosition(config.dim, config.dropout)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.dim)

    def predict(self, history: Tensor) -> Tensor:
        """Run the layers over ``history`` (B, U + 1); padding comes later than every label, so that none sees it."""
        visible = causal_mask(history.shape[1], history.device)
        if self.window is not None:
            visible = visible.triu(1 - self.window)
        x, _ = self.position(self.embedding(history))
        for layer in self.layers:
            x = layer(x, None, visible, None)
        return self.norm(x)

    def initial(self, batch_size: int) -> State:
        """No labels yet: places (N,) int64 and the cache (N, layers, 2, H, C, d) of keys and values, C = 0."""
        attention, weight = self.layers[0].attention, self.embedding.weight
        shape = (batch_size, len(self.layers), 2, attention.num_heads, 0, attention.head_dim)
        return torch.zeros(batch_size, dtype=torch.int64, device=weight.device), weight.new_zeros(shape)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Attend from the new labels to the cached ones; attention minds no order, so a full window is written round."""
        places, cache = state
        slots = places if self.window is None else places % self.window
        cache = _widened(cache, int(slots.max()) + 1 if len(slots) else 0)
        visible = torch.arange(cache.shape[4], device=tokens.device) <= places[:, None]  # (N, C)
        rows = torch.arange(len(tokens), device=tokens.device)
        position = self.position.table(0, int(places.max()) + 1 if len(places) else 1, cache)[places]
        x = self.embedding(tokens) * self.position.scale + position
        for i, layer in enumerate(self.layers):
            attention = layer.attention
            query, key, value = attention.qkv(layer.norm_attention(x)).unflatten(-1, (3, attention.num_heads, -1)).unbind(1)
            cache[rows, i, 0, :, slots], cache[rows, i, 1, :, slots] = key, value
            context = attention.attend(query.unsqueeze(2), cache[:, i, 0], cache[:, i, 1], None, visible[:, None, None])
            x = x + attention.out(context.flatten(1))
            x = x + layer.feed(layer.norm_feed(x))
        return self.norm(x), (places + 1, cache)

    def concat(self, states: Sequence[State]) -> State:
        """One state of several, whose caches may be of different length."""
        columns = max(cache.shape[4] for _, cache in states)
        return super().concat([(places, _widened(cache, columns)) for places, cache in states])


def _widened(cache: Tensor, columns: int) -> Tensor:
    """A copy of a cache (N, layers, 2, H, C, d) that has room for at least so many labels."""
    wide = cache.new_zeros(*cache.shape[:4], max(columns, cache.shape[4]), cache.shape[5])
    wide[..., : cache.shape[4], :] = cache
    return wide
