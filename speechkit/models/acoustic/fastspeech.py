"""FastSpeech: a spectrogram at once, from tokens that last as long as a predictor says."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from speechkit.models.acoustic.base import AcousticFacts, Compared, Controls, Learned, Speech, Spoken
from speechkit.models.acoustic.feed_forward import FeedForwardModel
from speechkit.nn.linear import Linear
from speechkit.nn.postnet import Postnet
from speechkit.utils.lens import padding_mask


class FastSpeech(FeedForwardModel, name="fastspeech"):
    """Feed-forward Transformers over tokens and over frames, and between them a length regulator (Ren et al., 2019,
    arXiv:1905.09263).

    Judge ``mel`` (mse in the paper) and ``log_duration`` (mse).

    Differs from the paper: durations come with the data or from an aligner (the paper takes them from the attention of a
    Transformer that generates frame by frame); the predictor says ``ln(1 + d)``; layer norms stand before the branches of
    the feed-forward Transformers, and other encoders may take their place; an optional post-net; the defaults are the sizes
    of FastSpeech 2.
    """

    class Config(FeedForwardModel.Config):
        """Options of models that end in a spectrogram."""

        postnet_layers: int = Field(0, ge=0)
        """Convolutions behind the spectrogram, as Tacotron 2 has 5; none, or 2 at least."""
        postnet_dim: int = Field(512, ge=1)
        """Channels between the convolutions of the post-net."""
        postnet_dropout: float = Field(0.5, ge=0, lt=1)
        """Dropout probability in the post-net."""

    gives = FeedForwardModel.gives | {"mel", "mel_before"}

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.out = Linear(self.decoder.out_dim, facts.feat_dim)
        self.postnet = make_postnet(config, facts.feat_dim)
        if self.postnet is None:
            self.gives -= {"mel_before"}

    def forward(self, speech: Speech) -> Learned:
        """Learn from recordings."""
        frames = self.learn(speech)
        said = {name: Compared(mel, speech.feats, frames.lens) for name, mel in self.mels(frames.hidden, frames.lens).items()}
        return frames.learned(**said)

    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        """Speak tokens (B, U) with lengths (B,), at least 1."""
        frames = self.speak(tokens, token_lens, controls)
        return frames.spoken(feats=self.mels(frames.hidden, frames.lens)["mel"])

    def mels(self, hidden: Tensor, lens: Tensor) -> dict[str, Tensor]:
        """``mel`` (B, T, F), 0 at padding, and where there is a post-net what it was given, ``mel_before``."""
        mel = self.out(hidden).masked_fill(padding_mask(lens, hidden.shape[1]).unsqueeze(2), 0.0)
        return {"mel": mel} if self.postnet is None else {"mel": self.postnet(mel, lens), "mel_before": mel}


def make_postnet(config: FastSpeech.Config, feat_dim: int) -> nn.Module | None:
    """The post-net, if the config wants one.

    Raises:
        ValueError: One of a single layer.
    """
    if config.postnet_layers == 1:
        raise ValueError("postnet_layers: expected 0 or at least 2, got 1")
    if config.postnet_layers == 0:
        return None
    return Postnet(feat_dim, config.postnet_dim, config.postnet_layers, dropout=config.postnet_dropout)
