"""The encoder of texts that Tacotron 2 and the Non-Attentive Tacotron share."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from speechkit.models.acoustic.base import AcousticModel
from speechkit.nn.conv_lstm import ConvLstm


class TextEncoderConfig(AcousticModel.Config):
    """Options of models with this encoder."""

    embedding_dim: int = Field(512, ge=1)
    """Width of the tokens' embeddings."""
    encoder_dim: int = Field(512, ge=2, multiple_of=2)
    """Channels of the encoder's convolutions, and width of the encodings."""
    encoder_layers: int = Field(3, ge=0)
    """Convolutions of the encoder."""
    encoder_kernel: int = Field(5, ge=1)
    """Tokens that one of them spans."""
    encoder_dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout probability behind each of them."""


class TextEncoder(nn.Module):
    """Embeddings of the tokens, and :class:`ConvLstm`.

    Args:
        config: Of the model.
        vocab_size: V.

    Attributes:
        out_dim: Width of the encodings.
    """

    def __init__(self, config: TextEncoderConfig, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        nn.init.xavier_uniform_(self.embedding.weight)
        self.body = ConvLstm(
            config.embedding_dim,
            config.encoder_dim,
            config.encoder_layers,
            config.encoder_kernel,
            config.encoder_dropout,
        )
        self.out_dim = self.body.out_dim

    def forward(self, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """Encode ``tokens`` (B, U) to (B, U, out_dim), 0 at padding."""
        return self.body(self.embedding(tokens), token_lens)
