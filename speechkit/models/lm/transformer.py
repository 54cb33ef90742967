"""The Transformer language model."""

from __future__ import annotations

from pydantic import Field

from speechkit.models.lm.base import LanguageModel
from speechkit.models.predictor import transformer


class Transformer(LanguageModel, name="transformer"):
    """Causal self-attention layers over the tokens (Irie et al., 2019, arXiv 1905.04226), with the norm before each branch.

    Differs from the paper: sinusoids of the place in the sentence are added to the embeddings.
    """

    class Config(LanguageModel.Config, transformer.Transformer.Config):
        """Options of the Transformer language model."""

        dim: int = Field(512, ge=1)
        """Model dimension D."""
        num_layers: int = Field(6, ge=1)
        """Layers."""
        num_heads: int = Field(8, ge=1)
        """Attention heads; a divisor of dim."""
        ff_dim: int = Field(2048, ge=1)
        """Inner dimension of the feed-forward modules."""

    Network = transformer.Transformer
