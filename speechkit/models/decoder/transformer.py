"""The Transformer decoder."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.decoder.attention import AttentionDecoder, Memory, log_softmax, readable
from speechkit.nn.activation import Activation
from speechkit.nn.attention import CrossAttention, SelfAttention, causal_mask
from speechkit.nn.dropout import Dropout
from speechkit.nn.feed_forward import FeedForward
from speechkit.nn.position import SinusoidalPosition
from speechkit.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class TransformerState:
    """N hypotheses: what they read, and the keys and values of their tokens in each layer (2, N, H, L, d)."""

    memory: Memory
    past: tuple[Tensor, ...] = ()
    weights: Tensor | None = None


class TransformerDecoder(AttentionDecoder, name="transformer"):
    """Masked self-attention, attention to the encodings, feed-forward (Vaswani et al., 2017, section 3.1).

    The attention weights that it reports are the mean over the heads of the last layer.

    Differs from the paper: the layer norm stands before each branch (Xiong et al., 2020), and after the last layer.
    """

    class Config(AttentionDecoder.Config):
        """Options of the Transformer decoder."""

        dim: int = Field(256, ge=2)
        """Model dimension, even; the encodings may have another one."""
        num_layers: int = Field(6, ge=1)
        """Layers."""
        num_heads: int = Field(4, ge=1)
        """Attention heads; a divisor of dim."""
        ff_dim: int = Field(2048, ge=1)
        """Inner dimension of the feed-forward modules."""
        activation: Activation = "relu"
        """Activation in the feed-forward modules."""
        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of embeddings, feed-forward and every residual branch."""
        attention_dropout: float = Field(0.0, ge=0, lt=1)
        """Dropout probability of attention weights."""
        memory_positions: bool = True
        """Add sinusoids of the frame number to the encodings. Without them, and with an encoder that knows no absolute
        positions itself, the decoder finds the next token only by what is said there."""
        tie_embeddings: bool = False
        """Let the tokens' embeddings be the rows of the output projection (Press and Wolf, 2017, arXiv:1608.05859)."""

    def __init__(self, config: Config, in_dim: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.in_dim, self.vocabulary, self.token_dropout = in_dim, vocabulary, config.token_dropout
        self.memory_position = SinusoidalPosition(in_dim + in_dim % 2) if config.memory_positions else None
        self.embedding = nn.Embedding(vocabulary.size, config.dim)
        # They are scaled by sqrt(D) before positions are added; at a deviation of 1 these would be lost.
        nn.init.normal_(self.embedding.weight, std=config.dim**-0.5)
        self.position = SinusoidalPosition(config.dim)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(TransformerDecoderLayer(config, in_dim) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.dim)
        # Tied, the embedding is read twice: weights with two names would be saved twice, and safetensors refuses that.
        self.out = None if config.tie_embeddings else nn.Linear(config.dim, vocabulary.size)

    def forward(
        self,
        encoder_out: Tensor,
        encoder_out_lens: Tensor,
        tokens_in: Tensor,
        token_in_lens: Tensor,
        owners: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, U + 1, V); see :meth:`AttentionDecoder.forward`."""
        memory = self._memory(encoder_out, encoder_out_lens, owners)
        return self._run(memory, self._readable(tokens_in, token_in_lens), with_weights=False)[0]

    def forward_with_weights(
        self,
        encoder_out: Tensor,
        encoder_out_lens: Tensor,
        tokens_in: Tensor,
        token_in_lens: Tensor,
        owners: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Logits (N, U + 1, V) and weights (N, U + 1, S); see :meth:`AttentionDecoder.forward_with_weights`."""
        memory = self._memory(encoder_out, encoder_out_lens, owners)
        logits, weights = self._run(memory, self._readable(tokens_in, token_in_lens), with_weights=True)
        return logits, memory.zero_if_empty(weights)[..., : encoder_out.shape[1]]

    def start(self, encoder_out: Tensor, encoder_out_lens: Tensor) -> TransformerState:
        """B empty hypotheses; keys and values of the encodings are made here, once."""
        return TransformerState(self._memory(encoder_out, encoder_out_lens, None))

    def step(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """``log_probs`` (N, V) and the new state; see :meth:`AttentionDecoder.step`."""
        start = state.past[0].shape[3] if state.past else 0
        x, past, weights = self._embed(tokens.unsqueeze(1), start), [], None
        for i, layer in enumerate(self.layers):
            x, seen = layer.step(x, state.past[i] if state.past else None)
            past.append(seen)
            x, weights = layer.look(x, state.memory, i, with_weights=layer is self.layers[-1])
        logits = self._score(x).squeeze(1)
        weights = state.memory.zero_if_empty(weights).squeeze(1)
        return log_softmax(logits), replace(state, past=tuple(past), weights=weights)

    def select(self, state: TransformerState, rows: Tensor) -> TransformerState:
        """The state of some of the hypotheses."""
        past = tuple(each.index_select(1, rows) for each in state.past)
        weights = None if state.weights is None else state.weights[rows]
        return TransformerState(state.memory.select(rows), past, weights)

    def _memory(self, encoder_out: Tensor, encoder_out_lens: Tensor, owners: Tensor | None) -> Memory:
        encoder_out, memory = readable(encoder_out, encoder_out_lens)
        if self.memory_position is not None:
            encoder_out = encoder_out + self.memory_position.table(0, encoder_out.shape[1], encoder_out)[..., : self.in_dim]
        parts = [part for layer in self.layers for part in layer.cross_attention.memory(encoder_out)]
        memory = replace(memory, parts=parts)
        return memory if owners is None else memory.select(owners)

    def _run(self, memory: Memory, tokens_in: Tensor, with_weights: bool) -> tuple[Tensor, Tensor | None]:
        x, weights = self._embed(tokens_in, 0), None
        mask = causal_mask(tokens_in.shape[1], tokens_in.device)
        for i, layer in enumerate(self.layers):
            x = layer.remember(x, mask)
            x, weights = layer.look(x, memory, i, with_weights and layer is self.layers[-1])
        return self._score(x), weights

    def _score(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return F.linear(x, self.embedding.weight) if self.out is None else self.out(x)

    def _embed(self, tokens: Tensor, start: int) -> Tensor:
        """Tokens (N, L), the first of them at place ``start`` of its sentence, as (N, L, D)."""
        x = self.embedding(tokens)
        return self.dropout(x * self.position.scale + self.position.table(start, start + tokens.shape[1], x))


class TransformerDecoderLayer(nn.Module):
    """One pre-norm block; every branch starts with a layer norm and ends with dropout."""

    def __init__(self, config: TransformerDecoder.Config, memory_dim: int) -> None:
        super().__init__()
        self.norm_self = nn.LayerNorm(config.dim)
        self.self_attention = SelfAttention(config.dim, config.num_heads, config.attention_dropout)
        self.norm_cross = nn.LayerNorm(config.dim)
        self.cross_attention = CrossAttention(config.dim, config.num_heads, memory_dim, config.attention_dropout)
        self.norm_feed = nn.LayerNorm(config.dim)
        self.feed = FeedForward(config.dim, config.ff_dim, config.activation, config.dropout)
        self.dropout = Dropout(config.dropout)

    def remember(self, x: Tensor, mask: Tensor) -> Tensor:
        """The branch of self-attention, all tokens of ``x`` (N, L, D) at once."""
        return x + self.dropout(self.self_attention(self.norm_self(x), None, mask))

    def step(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """The same for one more token (N, 1, D) behind ``past``; also returns the new past."""
        out, past = self.self_attention.step(self.norm_self(x), past)
        return x + self.dropout(out), past

    def look(self, x: Tensor, memory: Memory, index: int, with_weights: bool) -> tuple[Tensor, Tensor | None]:
        """The other branches: (N, L, D) to (N, L, D), and the weights (N, L, S) if wanted."""
        key_value, mask = memory.parts[2 * index : 2 * index + 2], memory.visible[:, None, None, :]
        # All rows of an utterance are queries to one memory: (N, L, D) -> (B, K L, D).
        queries = memory.groups.spread(self.norm_cross(x))
        shape = queries.shape[1:3]
        weights = None
        if with_weights:
            out, weights = self.cross_attention.forward_with_weights(queries.flatten(1, 2), key_value, mask)
            weights = memory.groups.collect(weights.unflatten(1, shape))
        else:
            out = self.cross_attention(queries.flatten(1, 2), key_value, mask)
        x = x + self.dropout(memory.groups.collect(out.unflatten(1, shape)))
        return x + self.dropout(self.feed(self.norm_feed(x))), weights
