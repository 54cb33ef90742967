"""The recurrent attention decoder: the speller of Listen, attend and spell."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.decoder.attention import AttentionDecoder, Memory, log_softmax, readable
from speechkit.nn.dropout import Dropout
from speechkit.nn.location_attention import QueryAttentionName, make_query_attention
from speechkit.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class LasState:
    """N hypotheses: what they read, the LSTMs' states (layers x (N, D)), the last context (N, M) and where it is from."""

    memory: Memory
    hidden: tuple[Tensor, ...]
    cells: tuple[Tensor, ...]
    context: Tensor
    weights: Tensor


class Las(AttentionDecoder, name="las"):
    """``s_u = LSTM(s_{u-1}, [y_{u-1}; c_{u-1}])``, ``c_u = attention(s_u)``, ``p(y_u) = softmax(W tanh(V [s_u; c_u]))``
    (Chan et al., 2016, Listen, attend and spell, eq. 6 to 8; the location-aware attention of Chorowski et al., 2015).

    Differs from the papers: before the first token the attention is said to have looked at the first frame, so that a
    location-aware one starts there.
    """

    class Config(AttentionDecoder.Config):
        """Options of the recurrent attention decoder."""

        dim: int = Field(320, ge=1)
        """Cells per layer; also the width of embeddings."""
        num_layers: int = Field(1, ge=1)
        """LSTM layers."""
        attention: QueryAttentionName = "location"
        """What the attention compares: dot or additive (what is heard) or location (also where it looked before)."""
        attention_dim: int = Field(320, ge=1)
        """Width in which queries and encodings are compared."""
        num_filters: int = Field(10, ge=1)
        """Filters over the last weights, for location."""
        kernel_size: int = Field(31, ge=1)
        """Frames that such a filter spans, odd."""
        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of embeddings, of the input of every further LSTM layer, and before the output."""
        scheduled_sampling: float = Field(0.0, ge=0, le=1)
        """Probability that a training step gets the network's own best token instead of the transcript's (Bengio et al.,
        2015, arXiv:1506.03099), to get used to its errors."""

    def __init__(self, config: Config, in_dim: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.in_dim, self.vocabulary, self.token_dropout = in_dim, vocabulary, config.token_dropout
        self.scheduled_sampling = config.scheduled_sampling
        self.embedding = nn.Embedding(vocabulary.size, config.dim)
        widths = [config.dim + in_dim] + [config.dim] * (config.num_layers - 1)
        self.lstm = nn.ModuleList(nn.LSTMCell(width, config.dim) for width in widths)
        self.attention = make_query_attention(
            config.attention, config.dim, in_dim, config.attention_dim, config.num_filters, config.kernel_size
        )
        self.readout = nn.Linear(config.dim + in_dim, config.dim)
        self.out = nn.Linear(config.dim, vocabulary.size)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        encoder_out: Tensor,
        encoder_out_lens: Tensor,
        tokens_in: Tensor,
        token_in_lens: Tensor,
        owners: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, U + 1, V); see :meth:`AttentionDecoder.forward`."""
        return self.forward_with_weights(encoder_out, encoder_out_lens, tokens_in, token_in_lens, owners)[0]

    def forward_with_weights(
        self,
        encoder_out: Tensor,
        encoder_out_lens: Tensor,
        tokens_in: Tensor,
        token_in_lens: Tensor,
        owners: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Logits (N, U + 1, V) and weights (N, U + 1, S); see :meth:`AttentionDecoder.forward_with_weights`."""
        state = self.start(encoder_out, encoder_out_lens)
        if owners is not None:
            state = self.select(state, owners)
        embedded = self.embedding(self._readable(tokens_in, token_in_lens))
        features, weights = [], []
        for u, given in enumerate(embedded.unbind(1)):
            state = self._advance(self._sampled(given, features[-1]) if u and self._samples() else given, state)
            features.append(torch.cat([state.hidden[-1], state.context], dim=-1))
            weights.append(state.weights)
        looked = torch.stack(weights, dim=1)[..., : encoder_out.shape[1]]
        return self._score(torch.stack(features, dim=1)), looked

    def start(self, encoder_out: Tensor, encoder_out_lens: Tensor) -> LasState:
        """B empty hypotheses; what all queries need of the encodings is made here, once."""
        encoder_out, memory = readable(encoder_out, encoder_out_lens)
        memory = replace(memory, parts=(encoder_out, self.attention.keys(encoder_out)))
        batch, length, width = encoder_out.shape
        zeros = encoder_out.new_zeros(batch, self.embedding.embedding_dim)
        weights = torch.zeros(batch, length, dtype=torch.promote_types(encoder_out.dtype, torch.float32), device=zeros.device)
        weights[:, 0] = 1.0
        states = (zeros,) * len(self.lstm)
        return LasState(memory, states, states, encoder_out.new_zeros(batch, width), weights)

    def step(self, tokens: Tensor, state: LasState) -> tuple[Tensor, LasState]:
        """``log_probs`` (N, V) and the new state; see :meth:`AttentionDecoder.step`."""
        state = self._advance(self.embedding(tokens), state)
        logits = self._score(torch.cat([state.hidden[-1], state.context], dim=-1))
        return log_softmax(logits), state

    def select(self, state: LasState, rows: Tensor) -> LasState:
        """The state of some of the hypotheses."""
        hidden, cells = (tuple(each[rows] for each in part) for part in (state.hidden, state.cells))
        return LasState(state.memory.select(rows), hidden, cells, state.context[rows], state.weights[rows])

    def _advance(self, embedded: Tensor, state: LasState) -> LasState:
        """The state behind one more token, given as its embedding (N, D)."""
        x = torch.cat([self.dropout(embedded), state.context.to(embedded.dtype)], dim=-1)
        hidden, cells = [], []
        for i, lstm in enumerate(self.lstm):
            before = state.hidden[i].to(x.dtype), state.cells[i].to(x.dtype)
            h, c = lstm(x if i == 0 else self.dropout(x), before)
            hidden.append(h)
            cells.append(c)
            x = h
        memory, (encodings, keys) = state.memory, state.memory.parts
        weights = self.attention(memory.groups, x, keys, memory.visible, state.weights.unsqueeze(1))
        weights = memory.zero_if_empty(weights)
        context = memory.groups.collect(memory.groups.spread(weights).to(encodings.dtype) @ encodings)
        return LasState(memory, tuple(hidden), tuple(cells), context, weights)

    def _score(self, features: Tensor) -> Tensor:
        return self.out(self.dropout(self.readout(features).tanh()))

    def _samples(self) -> bool:
        return self.training and self.scheduled_sampling > 0

    def _sampled(self, given: Tensor, features: Tensor) -> Tensor:
        """``given`` (N, D), but in some rows the embedding of the token that the network itself would have said."""
        with torch.no_grad():
            said = self._score(features).argmax(-1)
        own = torch.rand(len(given), 1, device=given.device) < self.scheduled_sampling
        return torch.where(own, self.embedding(said), given)
