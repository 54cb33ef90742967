"""Tacotron 2: location-sensitive attention between a text and its spectrogram."""

from __future__ import annotations

from pydantic import Field

from speechkit.models.acoustic.base import AcousticFacts
from speechkit.models.acoustic.post_net import PostnetConfig
from speechkit.models.acoustic.recurrent_decoder import RecurrentDecoder, RecurrentModel
from speechkit.models.acoustic.text_encoder import TextEncoder, TextEncoderConfig
from speechkit.nn.attention_rnn import AttentionRnn
from speechkit.nn.location_attention import LocationAttention
from speechkit.nn.prenet import Prenet
from speechkit.nn.recurrent import ZoneoutLstm
from speechkit.nn.recurrent_stack import RecurrentStack


class Tacotron2(RecurrentModel, name="tacotron2"):
    """Convolutions and an LSTM over the text, an attention LSTM, LSTMs behind it, and a post-net (Shen et al., 2018, Natural TTS
    synthesis by conditioning WaveNet on mel spectrogram predictions, arXiv:1712.05884, section 2.2).

    It learns with the losses ``mel`` and ``mel_before`` (mse) and ``stop`` (bce); ``guided_attention`` brings the alignment
    earlier.

    Differs from the paper, as does NVIDIA's code (github.com/NVIDIA/tacotron2): the attention is the query of the first LSTM, and
    the second one hears its result of the same step, so that only the first has to go step by step in training; its filters
    see the last weights and their sum, not only the sum. Differs from both: the first step has looked at the first token;
    the encoder's LSTM has no zoneout; with r frames per step each of them can be the last.
    """

    class Config(RecurrentModel.Config, TextEncoderConfig, PostnetConfig):
        """Options of Tacotron 2."""

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

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.encoder = TextEncoder(config, facts.vocabulary.size)
        self.decoder = make_decoder(config, facts.feat_dim)
        self.postnet = config.make_postnet(facts.feat_dim)
        self.add_conditions(self.encoder.out_dim)


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
