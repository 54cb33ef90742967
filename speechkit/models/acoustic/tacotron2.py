"""Tacotron 2: location-sensitive attention between a text and its spectrogram."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from speechkit.models.acoustic.attention_model import AttentionModel
from speechkit.models.acoustic.base import AcousticFacts
from speechkit.models.acoustic.recurrent_decoder import RecurrentDecoder
from speechkit.nn.attention_rnn import AttentionRnn
from speechkit.nn.conv_lstm import ConvLstm
from speechkit.nn.location_attention import LocationAttention
from speechkit.nn.postnet import Postnet
from speechkit.nn.prenet import Prenet
from speechkit.nn.recurrent import ZoneoutLstm
from speechkit.nn.recurrent_stack import RecurrentStack


class Tacotron2(AttentionModel, name="tacotron2"):
    """Convolutions and an LSTM over the text, an attention LSTM, LSTMs behind it, and a post-net (Shen et al., 2018, Natural TTS
    synthesis by conditioning WaveNet on mel spectrogram predictions, arXiv:1712.05884, section 2.2).

    It learns with the losses ``mel`` and ``mel_before`` (mse) and ``stop`` (bce); ``guided_attention`` brings the alignment
    earlier.

    Differs from the paper, as does NVIDIA's code (github.com/NVIDIA/tacotron2): the attention is the query of the first LSTM, and
    the second one hears its result of the same step, so that only the first has to go step by step in training; its filters
    see the last weights and their sum, not only the sum. Differs from both: the first step has looked at the first token;
    the encoder's LSTM has no zoneout; with r frames per step each of them can be the last.
    """

    class Config(AttentionModel.Config):
        """Options of Tacotron 2."""

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
        prenet_dims: tuple[int, ...] = (256, 256)
        """Widths of the layers that hear the last frame."""
        prenet_dropout: float = Field(0.5, ge=0, lt=1)
        """Dropout probability in these, in synthesis, too: it lets the decoder rely on the text."""
        dim: int = Field(1024, ge=1)
        """Cells of each of the decoder's LSTMs."""
        num_layers: int = Field(2, ge=2)
        """Of them; the first one is that of the attention."""
        zoneout: float = Field(0.1, ge=0, lt=1)
        """Probability of a cell to keep its state for a step."""
        dropout: float = Field(0.0, ge=0, lt=1)
        """Dropout probability of these LSTMs' outputs, which some prefer to zoneout."""
        attention_dim: int = Field(128, ge=1)
        """Width in which queries and encodings are compared."""
        num_filters: int = Field(32, ge=1)
        """Filters over where the attention has looked."""
        kernel_size: int = Field(31, ge=1)
        """Tokens that such a filter spans, odd."""
        forward_attention: bool = False
        """Only stay or go on by one token from step to step (Zhang et al., 2018). It aligns sooner and never jumps."""
        postnet_dim: int = Field(512, ge=1)
        """Channels of the post-net."""
        postnet_layers: int = Field(5, ge=2)
        """Its convolutions."""
        postnet_kernel: int = Field(5, ge=1)
        """Frames that one of them spans."""
        postnet_dropout: float = Field(0.5, ge=0, lt=1)
        """Dropout probability behind each of them."""

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.encoder = TextEncoder(config, facts.vocabulary.size)
        self.decoder = make_decoder(config, facts.feat_dim)
        self.postnet = Postnet(
            facts.feat_dim, config.postnet_dim, config.postnet_layers, config.postnet_kernel, config.postnet_dropout
        )
        self.add_speakers(facts)


class TextEncoder(nn.Module):
    """Embeddings of the tokens, and :class:`ConvLstm`.

    Args:
        config: Of the model.
        vocab_size: V.
    """

    def __init__(self, config: Tacotron2.Config, vocab_size: int) -> None:
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


def make_decoder(config: Tacotron2.Config, feat_dim: int) -> RecurrentDecoder:
    """The decoder that the config asks for."""
    prenet, memory_dim = Prenet(feat_dim, config.prenet_dims, config.prenet_dropout), config.encoder_dim
    attention = LocationAttention(
        config.dim, memory_dim, config.attention_dim, config.num_filters, config.kernel_size, channels=2
    )
    first = ZoneoutLstm(prenet.out_dim + memory_dim, config.dim, config.zoneout)
    widths = [config.dim + memory_dim] + [config.dim] * (config.num_layers - 2)
    return RecurrentDecoder(
        prenet,
        AttentionRnn(first, attention, config.dropout, config.forward_attention),
        RecurrentStack([ZoneoutLstm(width, config.dim, config.zoneout) for width in widths], dropout=config.dropout),
        in_dim=None,
        out_context=True,
        feat_dim=feat_dim,
        reduction_factor=config.reduction_factor,
    )
