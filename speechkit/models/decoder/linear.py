"""The decoder of CTC and its kin: one projection per frame."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.decoder.base import FrameDecoder
from speechkit.nn.dropout import Dropout
from speechkit.text.vocabulary import Vocabulary


class Linear(FrameDecoder, name="linear"):
    """``log_softmax(W dropout(x) + b)`` over the vocabulary, frame by frame."""

    class Config(FrameDecoder.Config):
        """Options of the linear decoder."""

        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of the encoder output."""
        flat_start: bool = False
        """Start from W = 0 and b = 0, every token equally likely everywhere, as an HMM system starts from equal segments.
        For minutes of speech and encoders with a short view: from random weights CTC may learn to count the words and emit
        them in silence, where it never hears which ones they are. A Conformer learns far more slowly from a flat start."""

    def __init__(self, config: Config, in_dim: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.dropout = Dropout(config.dropout)
        self.out = nn.Linear(in_dim, vocabulary.size)
        if config.flat_start:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, encoder_out: Tensor) -> Tensor:
        """Map ``encoder_out`` (B, S, D) to ``log_probs`` (B, S, V); the softmax is float32 under autocast as well."""
        logits = self.out(self.dropout(encoder_out))
        return logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
