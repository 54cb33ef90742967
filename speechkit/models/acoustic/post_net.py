"""The post-net of Tacotron 2 as an option of acoustic models that always have one."""

from __future__ import annotations

from pydantic import Field

from speechkit.models.acoustic.base import AcousticModel
from speechkit.nn.postnet import Postnet


class PostnetConfig(AcousticModel.Config):
    """Options of models with this post-net."""

    postnet_dim: int = Field(512, ge=1)
    """Channels of the post-net."""
    postnet_layers: int = Field(5, ge=2)
    """Its convolutions."""
    postnet_kernel: int = Field(5, ge=1)
    """Frames that one of them spans."""
    postnet_dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout probability behind each of them."""

    def make_postnet(self, feat_dim: int) -> Postnet:
        """The post-net for spectrograms of width ``feat_dim``."""
        return Postnet(feat_dim, self.postnet_dim, self.postnet_layers, self.postnet_kernel, self.postnet_dropout)
