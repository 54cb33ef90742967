"""The LSTM language model."""

from __future__ import annotations

from pydantic import Field

from speechkit.models.lm.base import LanguageModel
from speechkit.models.predictor import lstm


class Lstm(LanguageModel, name="lstm"):
    """Embedding, LSTM layers with dropout between them, softmax (Zaremba et al., 2014, arXiv 1409.2329)."""

    class Config(LanguageModel.Config, lstm.Lstm.Config):
        """Options of the LSTM language model."""

        dim: int = Field(512, ge=1)
        """Dimension of the embeddings, and cells per layer."""
        num_layers: int = Field(2, ge=1)
        """Layers."""
        dropout: float = Field(0.2, ge=0, lt=1)
        """Dropout probability of the embeddings and of the output of every layer."""

    Network = lstm.Lstm
