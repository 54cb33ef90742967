"""The decoder of transducers: a predictor that reads the labels so far, and a joiner of it and the encoder."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.models.decoder.base import Decoder
from speechkit.models.predictor.base import Predictor
from speechkit.models.predictor.lstm import Lstm
from speechkit.nn.dropout import Dropout
from speechkit.nn.linear import Linear
from speechkit.text.vocabulary import Vocabulary


class Transducer(Decoder, name="transducer"):
    """``logits(s, u) = out(tanh(encoder_proj(x_s) + predictor_proj(p_u)))`` (Graves et al., 2013, arXiv 1303.5778, eq. 15-18).

    What a transducer's objective and searches read are its parts, because they never want all the logits at once::

        predicted = decoder.joiner.predictor_proj(decoder.predictor(tokens, token_lens))      # (B, U + 1, J)
        encoded = decoder.joiner.encoder_proj(encoder_out)                                      # (B, S, J)
        logits = decoder.joiner(encoded[:, s, None], predicted)                                 # (B, U + 1, V)

    Attributes:
        predictor: Labels to vectors.
        joiner: Both to logits.
        simple_encoder_proj, simple_predictor_proj: Linear, to logits whose sum is the simple joiner of the pruned
            transducer (Kuang et al., 2022, arXiv 2206.13236, section 2.2); None unless the config asks for them.
    """

    class Config(Decoder.Config):
        """Options of the transducer's decoder."""

        predictor: Choice[Predictor] = Lstm.Config()
        """The network that reads the labels so far."""
        joiner_dim: int = Field(512, ge=1)
        """J, the dimension in which encodings and predictions meet."""
        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of the encoder output."""
        simple_joiner: bool = False
        """Also build the simple joiner; objectives that prune by it set this themselves."""

    def __init__(self, config: Config, in_dim: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.predictor = config.predictor.build(vocabulary=vocabulary)
        self.joiner = Joiner(in_dim, self.predictor.out_dim, config.joiner_dim, vocabulary.size, config.dropout)
        self.simple_encoder_proj = self.simple_predictor_proj = None
        if config.simple_joiner:
            self.simple_encoder_proj = DroppingLinear(in_dim, vocabulary.size, config.dropout)
            self.simple_predictor_proj = Linear(self.predictor.out_dim, vocabulary.size)


class Joiner(nn.Module):
    """Adds encodings and predictions, each projected beforehand, and scores tokens.

    Args:
        encoder_dim: D.
        predictor_dim: P.
        dim: J.
        vocab_size: V, blank included.
        dropout: On the encodings, in [0, 1).
    """

    def __init__(self, encoder_dim: int, predictor_dim: int, dim: int, vocab_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder_proj = DroppingLinear(encoder_dim, dim, dropout)
        self.predictor_proj = Linear(predictor_dim, dim)
        self.out = nn.Linear(dim, vocab_size)

    def forward(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        """Logits (..., V) of projected encodings (..., J) and projected predictions (..., J), broadcast."""
        return self.out(torch.tanh(encoded + predicted))


class DroppingLinear(Linear):
    """A projection that drops elements of its input while training.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        dropout: Probability in [0, 1).
    """

    def __init__(self, in_features: int, out_features: int, dropout: float) -> None:
        super().__init__(in_features, out_features)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., in_features) to (..., out_features)."""
        return super().forward(self.dropout(x))
