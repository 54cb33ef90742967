"""The decoder of ASG: one projection per frame, not normalised, and a score for each pair of neighbours."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.decoder.base import Decoder
from speechkit.nn.dropout import Dropout
from speechkit.text.vocabulary import Vocabulary


class Asg(Decoder, name="asg"):
    """Emissions ``W dropout(x) + b`` and trained transitions g(i, j), of i after j (Collobert et al. 2016).

    There is no blank. A frame belongs to a token, so two equal tokens in a row would be one, and the id of the blank
    stands for what tells them apart: a symbol "the token before, once more", or silence.
    """

    class Config(Decoder.Config):
        """Options of the ASG decoder."""

        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of the encoder output."""
        between_equals: Literal["repeat", "silence"] = "repeat"
        """What makes two of a token: `repeat`, a symbol in place of the second one, as in the paper (`hello` is `hel1o`),
        for units that follow each other without a pause, such as characters; or `silence` between them, which may then
        also stand between any other two tokens, before the first and after the last, for units such as words."""

    def __init__(self, config: Config, in_dim: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.config = config
        self.dropout = Dropout(config.dropout)
        self.out = nn.Linear(in_dim, vocabulary.size)
        self.transitions = nn.Parameter(torch.zeros(vocabulary.size, vocabulary.size))

    def forward(self, encoder_out: Tensor) -> Tensor:
        """Map ``encoder_out`` (B, S, D) to emissions (B, S, V), in nats but not normalised, float32 at least."""
        emissions = self.out(self.dropout(encoder_out))
        return emissions.to(torch.promote_types(emissions.dtype, torch.float32))

    def spell(self, path: list[int]) -> list[tuple[int, int, int]]:
        """The tokens on a path (S,) of labels, as (token, first frame, frame after the last)."""
        extra, spans = self.vocabulary.blank_id, []
        first = 0
        for t in range(1, len(path) + 1):
            if t < len(path) and path[t] == path[first]:
                continue
            if path[first] != extra:
                spans.append((path[first], first, t))
            elif self.config.between_equals == "repeat" and spans:  # a repeat symbol at the very start repeats nothing
                spans.append((spans[-1][0], first, t))
            first = t
        return spans
