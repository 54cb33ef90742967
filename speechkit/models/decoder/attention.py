"""What attention decoders are: they give each token a distribution that knows the tokens before it and looks at all frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from speechkit.models.decoder.base import Decoder
from speechkit.nn.groups import Groups
from speechkit.utils.lens import padding_mask


@dataclass(frozen=True)
class Memory:
    """What N rows read of the encodings of B utterances; the rows of one utterance share it.

    Args:
        parts: (B, ...) each, what the decoder made of the encodings, once.
        visible: (B, S) bool, True where a frame may be looked at. An utterance without frames shows its first one, which
            is zero, because a softmax over nothing is NaN.
        empty: (B,) bool, True for an utterance without frames.
        groups: Which utterance each row reads.
    """

    parts: Sequence[Tensor]
    visible: Tensor
    empty: Tensor
    groups: Groups

    def select(self, rows: Tensor) -> Memory:
        """The memory of rows (M,) of the N: a new index; utterances that no row reads any more are left out."""
        groups, kept = self.groups.select(rows)
        if kept is None:
            return Memory(self.parts, self.visible, self.empty, groups)
        return Memory([part[kept] for part in self.parts], self.visible[kept], self.empty[kept], groups)

    def zero_if_empty(self, weights: Tensor) -> Tensor:
        """``weights`` (N, ..., S), but zeros for rows whose utterance has no frames."""
        empty = self.empty[self.groups.owners]
        return weights.masked_fill(empty.view(-1, *[1] * (weights.dim() - 1)), 0.0)


def readable(encoder_out: Tensor, encoder_out_lens: Tensor) -> tuple[Tensor, Memory]:
    """Encodings (B, S, D) with zeros at padding, at least one frame, and a memory of them without parts yet."""
    if encoder_out.shape[1] == 0:
        encoder_out = F.pad(encoder_out, (0, 0, 0, 1))
    padding = padding_mask(encoder_out_lens, encoder_out.shape[1])
    visible = ~padding
    visible[:, 0] = True
    groups = Groups.single(len(encoder_out), encoder_out.device)
    return encoder_out.masked_fill(padding.unsqueeze(-1), 0.0), Memory((), visible, encoder_out_lens == 0, groups)


class AttentionDecoder(Decoder):
    """``p(y_u | y_1 ... y_{u-1}, encodings)`` for u = 1 ... U + 1, where y_{U+1} is the end of the sentence.

    Training asks for all tokens of B transcripts at once. A search goes token by token with N hypotheses of B
    utterances; those of one utterance read the same memory::

        state = decoder.start(encoder_out, encoder_out_lens)      # one empty hypothesis per utterance: N = B
        log_probs, state = decoder.step(tokens, state)            # the first tokens are all ``sos_id``
        state = decoder.select(state, rows)                       # hypotheses may be dropped, doubled and reordered

    ``state.weights`` is (N, S), where the last step looked.

    Attributes:
        in_dim: D, the width of encodings.
        token_dropout: Share of the tokens that are hidden from the network in training.
    """

    class Config(Decoder.Config):
        """Options of all attention decoders."""

        token_dropout: float = Field(0.0, ge=0, lt=1)
        """Share of the tokens read that training replaces by ``<unk>``. For small corpora, whose transcripts a decoder soon
        knows by heart: it has to listen where it cannot read what came before."""

    in_dim: int
    token_dropout: float

    def forward(
        self,
        encoder_out: Tensor,
        encoder_out_lens: Tensor,
        tokens_in: Tensor,
        token_in_lens: Tensor,
        owners: Tensor | None = None,
    ) -> Tensor:
        """Score every token of N sentences, each from those before it.

        Args:
            encoder_out: (B, S, D).
            encoder_out_lens: (B,) int64 frames per utterance, may be 0.
            tokens_in: (N, U + 1) int64, ``sos_id`` and the U tokens, padded with anything.
            token_in_lens: (N,) int64, at most U + 1.
            owners: (N,) int64, the utterance that each sentence is about; None where N = B and each has its own.

        Returns:
            Logits (N, U + 1, V) of the tokens that follow those of ``tokens_in``.
        """
        raise NotImplementedError

    def forward_with_weights(
        self,
        encoder_out: Tensor,
        encoder_out_lens: Tensor,
        tokens_in: Tensor,
        token_in_lens: Tensor,
        owners: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As the call, with the attention weights (N, U + 1, S).

        Those of each token sum to 1 over its utterance's frames and are 0 elsewhere (and all 0 where there are no frames).
        """
        raise NotImplementedError

    def start(self, encoder_out: Tensor, encoder_out_lens: Tensor) -> Any:
        """The state of one empty hypothesis for each utterance of ``encoder_out`` (B, S, D)."""
        raise NotImplementedError

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Add a token to each hypothesis.

        Args:
            tokens: (N,) int64.
            state: Of N hypotheses; it is not changed.

        Returns:
            ``log_probs`` (N, V) of the next token, at least float32, and the new state.
        """
        raise NotImplementedError

    def select(self, state: Any, rows: Tensor) -> Any:
        """The state of the hypotheses ``rows`` (M,) int64, any of the N in any order; encodings are not copied."""
        raise NotImplementedError

    def _readable(self, tokens_in: Tensor, token_in_lens: Tensor) -> Tensor:
        """``tokens_in`` with ids at padding that an embedding has, and in training with some of the tokens hidden."""
        tokens_in = tokens_in.masked_fill(padding_mask(token_in_lens, tokens_in.shape[1]), self.vocabulary.eos_id)
        if not (self.training and self.token_dropout):
            return tokens_in
        hidden = torch.rand(tokens_in.shape, device=tokens_in.device) < self.token_dropout
        hidden[:, 0] = False  # the start of the sentence
        return tokens_in.masked_fill(hidden, self.vocabulary.unk_id)


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities over the last axis, at least float32, under autocast as well."""
    return logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
