"""Tacotron: the first network from characters to spectrograms with attention."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from speechkit.models.acoustic.base import AcousticFacts
from speechkit.models.acoustic.recurrent_decoder import RecurrentDecoder, RecurrentModel
from speechkit.nn.attention_rnn import AttentionRnn
from speechkit.nn.cbhg import Cbhg
from speechkit.nn.linear import Linear
from speechkit.nn.location_attention import AdditiveAttention, LocationAttention
from speechkit.nn.prenet import Prenet
from speechkit.nn.recurrent import Gru
from speechkit.nn.recurrent_stack import RecurrentStack
from speechkit.utils.lens import padding_mask


class Tacotron(RecurrentModel, name="tacotron"):
    """CBHG over the text, an attention GRU, two residual GRUs behind it that say r frames a step, and a CBHG over these (Wang et
    al., 2017, Tacotron: Towards end-to-end speech synthesis, arXiv:1703.10135, section 3 and table 1).

    It learns with the losses ``mel_before`` (what the decoder says) and ``mel`` (what the post-net makes of it), l1 both, and
    ``stop`` (bce).

    Differs from the paper: the post-net gives the same features as the decoder, for vocoders that read these, not a linear
    spectrogram; the attention GRU also hears what it looked at; a logit of each frame says whether it is the last, where the
    paper lets the network say silence.
    """

    class Config(RecurrentModel.Config):
        """Options of Tacotron."""

        reduction_factor: int = Field(2, ge=1)
        """r: frames that the decoder says in one step. The paper has 2; with 5 attention is found sooner."""
        embedding_dim: int = Field(256, ge=1)
        """Width of the tokens' embeddings."""
        prenet_dims: tuple[int, ...] = (256, 128)
        """Widths of the layers before the encoder, and of those that hear the last frame."""
        prenet_dropout: float = Field(0.5, ge=0, lt=1)
        """Dropout probability in these; in those of the decoder in synthesis, too."""
        encoder_bank: int = Field(16, ge=1)
        """K: convolutions in the encoder's bank."""
        cbhg_dim: int = Field(128, ge=1)
        """Channels of the banks, the highway layers, and the GRUs to each side."""
        dim: int = Field(256, ge=1)
        """Cells of each of the decoder's GRUs."""
        num_layers: int = Field(2, ge=1)
        """Residual GRUs behind that of the attention."""
        attention: Literal["additive", "location"] = "additive"
        """What the attention compares: the text (additive, the paper's), or also where it looked before (location)."""
        attention_dim: int = Field(256, ge=1)
        """Width in which queries and encodings are compared."""
        num_filters: int = Field(32, ge=1)
        """Filters over where the attention has looked, for location."""
        kernel_size: int = Field(31, ge=1)
        """Tokens that such a filter spans, odd."""
        postnet_bank: int = Field(8, ge=1)
        """K of the post-net."""
        postnet_dim: int = Field(256, ge=1)
        """Channels between its two projections."""

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.encoder = CbhgEncoder(config, facts.vocabulary.size)
        self.decoder = make_decoder(config, self.encoder.out_dim, facts.feat_dim)
        self.postnet = CbhgPostnet(config, facts.feat_dim)
        self.add_conditions(self.encoder.out_dim)


class CbhgEncoder(nn.Module):
    """Embeddings of the tokens, a prenet, and a CBHG.

    Args:
        config: Of the model.
        vocab_size: V.
    """

    def __init__(self, config: Tacotron.Config, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.prenet = Prenet(config.embedding_dim, config.prenet_dims, config.prenet_dropout, always_on=False)
        width = config.cbhg_dim
        self.cbhg = Cbhg(self.prenet.out_dim, config.encoder_bank, width, width, width, gru_dim=width)
        self.out_dim = self.cbhg.out_dim

    def forward(self, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """Encode ``tokens`` (B, U) to (B, U, out_dim), 0 at padding."""
        return self.cbhg(self.prenet(self.embedding(tokens)), token_lens)


class CbhgPostnet(nn.Module):
    """A CBHG over frames that sees what comes later, and a projection to frames.

    Args:
        config: Of the model.
        feat_dim: F.
    """

    def __init__(self, config: Tacotron.Config, feat_dim: int) -> None:
        super().__init__()
        width = config.cbhg_dim
        self.cbhg = Cbhg(feat_dim, config.postnet_bank, width, config.postnet_dim, width, gru_dim=width)
        self.out = Linear(self.cbhg.out_dim, feat_dim)

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """Map ``x`` (B, T, F), whose padding does not matter, to (B, T, F), 0 at padding."""
        return self.out(self.cbhg(x, x_lens)).masked_fill(padding_mask(x_lens, x.shape[1]).unsqueeze(2), 0.0)


def make_decoder(config: Tacotron.Config, memory_dim: int, feat_dim: int) -> RecurrentDecoder:
    """The decoder that the config asks for."""
    prenet = Prenet(feat_dim, config.prenet_dims, config.prenet_dropout)
    widths = config.dim, memory_dim, config.attention_dim
    if config.attention == "location":
        attention = LocationAttention(*widths, config.num_filters, config.kernel_size, channels=2)
    else:
        attention = AdditiveAttention(*widths)
    return RecurrentDecoder(
        prenet,
        AttentionRnn(Gru(prenet.out_dim + memory_dim, config.dim), attention, forward_attention=config.forward_attention),
        RecurrentStack([Gru(config.dim, config.dim) for _ in range(config.num_layers)], residual=True),
        in_dim=config.dim,
        out_context=False,
        feat_dim=feat_dim,
        reduction_factor=config.reduction_factor,
    )
