"""Transformer TTS: Tacotron 2 without recurrence."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.acoustic.attention_model import AttentionModel
from speechkit.models.acoustic.base import AcousticFacts
from speechkit.models.acoustic.post_net import PostnetConfig
from speechkit.models.acoustic.speaking import Decoded
from speechkit.models.decoder.attention import Memory, readable
from speechkit.models.decoder.transformer import TransformerDecoder, TransformerDecoderLayer
from speechkit.models.encoder.transformer import Transformer, TransformerLayer
from speechkit.nn.attention import attention_mask, causal_mask
from speechkit.nn.conv_lstm import ConvStack
from speechkit.nn.linear import Linear
from speechkit.nn.prenet import Prenet
from speechkit.nn.scaled_position import ScaledPosition
from speechkit.utils.lens import padding_mask


class TransformerTts(AttentionModel, name="transformer_tts"):
    """Transformer layers over the text and over the frames so far (Li et al., 2019, Neural speech synthesis with Transformer
    network, arXiv:1809.08895). In training all frames are said at once.

    It learns with the losses of :class:`speechkit.models.acoustic.tacotron2.Tacotron2`; the alignment is the mean of the heads in
    the last layer, which needs ``guided_attention`` on small corpora.

    Differs from the paper: the layer norm stands before each branch (Xiong et al., 2020), and after the last layer; the logits
    of the end are those of each frame.
    """

    class Config(AttentionModel.Config, PostnetConfig):
        """Options of Transformer TTS."""

        dim: int = Field(512, ge=2, multiple_of=2)
        """Model dimension D."""
        num_heads: int = Field(8, ge=1)
        """Attention heads; a divisor of dim."""
        ff_dim: int = Field(2048, ge=1)
        """Inner dimension of the feed-forward modules."""
        encoder_layers: int = Field(6, ge=1)
        """Layers over the text."""
        decoder_layers: int = Field(6, ge=1)
        """Layers over the frames."""
        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of positions, feed-forward and every residual branch."""
        attention_dropout: float = Field(0.0, ge=0, lt=1)
        """Dropout probability of attention weights."""
        encoder_convs: int = Field(3, ge=0)
        """Convolutions before the layers over the text."""
        encoder_kernel: int = Field(5, ge=1)
        """Tokens that one of them spans."""
        encoder_dropout: float = Field(0.5, ge=0, lt=1)
        """Dropout probability behind each of them."""
        prenet_dims: tuple[int, ...] = (256, 256)
        """Widths of the layers that hear the last frame."""
        prenet_dropout: float = Field(0.5, ge=0, lt=1)
        """Dropout probability in these, in synthesis, too."""

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.encoder = TextTransformer(config, facts.vocabulary.size)
        self.decoder = FrameTransformer(config, facts.feat_dim)
        self.postnet = config.make_postnet(facts.feat_dim)
        self.add_conditions(self.encoder.out_dim)


class TextTransformer(nn.Module):
    """Embeddings of the tokens, convolutions, a projection that centres them on 0 again, positions, Transformer layers.

    Args:
        config: Of the model.
        vocab_size: V.
    """

    def __init__(self, config: TransformerTts.Config, vocab_size: int) -> None:
        super().__init__()
        self.out_dim = config.dim
        self.embedding = nn.Embedding(vocab_size, config.dim)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.convs = ConvStack(
            config.dim, config.dim, config.encoder_convs, config.encoder_kernel, config.encoder_dropout
        )
        self.centre = Linear(config.dim, config.dim)
        self.position = ScaledPosition(config.dim, config.dropout)
        layer = Transformer.Config(
            dim=config.dim,
            num_heads=config.num_heads,
            ff_dim=config.ff_dim,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
        )
        self.layers = nn.ModuleList(TransformerLayer(layer) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """Encode ``tokens`` (B, U) to (B, U, out_dim)."""
        padding = padding_mask(token_lens, tokens.shape[1])
        x = self.position(self.centre(self.convs(self.embedding(tokens), token_lens)))
        visible = attention_mask(padding)
        for layer in self.layers:
            x = layer(x, None, visible, padding)
        return self.norm(x)


@dataclass(frozen=True)
class FrameState:
    """B decoders between two steps.

    Args:
        memory: Keys and values of the text in each layer.
        past: Keys and values of the steps before in each layer, (2, B, H, S, d).
        steps: S.
    """

    memory: Memory
    past: tuple[Tensor, ...] = ()
    steps: int = 0


class FrameTransformer(nn.Module):
    """Prenet, a projection that centres it on 0, positions, layers of masked self-attention and attention to the text.

    Args:
        config: Of the model.
        feat_dim: F.
    """

    def __init__(self, config: TransformerTts.Config, feat_dim: int) -> None:
        super().__init__()
        self.feat_dim = feat_dim
        self.prenet = Prenet(feat_dim, config.prenet_dims, config.prenet_dropout)
        self.centre = Linear(self.prenet.out_dim, config.dim)
        self.position = ScaledPosition(config.dim, config.dropout)
        layer = TransformerDecoder.Config(
            dim=config.dim,
            num_heads=config.num_heads,
            ff_dim=config.ff_dim,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
        )
        self.layers = nn.ModuleList(TransformerDecoderLayer(layer, config.dim) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.dim)
        self.out = Linear(config.dim, config.reduction_factor * feat_dim)
        self.stop = Linear(config.dim, config.reduction_factor)

    def start(self, memory: Tensor, memory_lens: Tensor) -> FrameState:
        """The state before the first step; keys and values of ``memory`` (B, U, D) are made here, once."""
        memory, seen = readable(memory, memory_lens)
        parts = [part for layer in self.layers for part in layer.cross_attention.memory(memory)]
        return FrameState(replace(seen, parts=parts))

    def forward(
        self, frames: Tensor, state: FrameState, generator: torch.Generator | None = None
    ) -> tuple[Decoded, FrameState | None]:
        """Some steps more; see :meth:`speechkit.models.acoustic.attention_model.AttentionModel.decode`.

        Many steps are made at once, and only from the first on; from these nothing goes on: the state behind them is None.
        """
        assert state.steps == 0 or frames.shape[1] == 1
        x = self.position(self.centre(self.prenet(frames, generator)), state.steps)
        mask = causal_mask(frames.shape[1], x.device)
        past, weights = [], None
        for i, layer in enumerate(self.layers):
            if frames.shape[1] == 1:
                x, seen = layer.step(x, state.past[i] if state.past else None)
                past.append(seen)
            else:
                x = layer.remember(x, mask)
            x, weights = layer.look(x, state.memory, i, with_weights=layer is self.layers[-1])
        behind = replace(state, past=tuple(past), steps=state.steps + 1) if past else None
        return self._say(self.norm(x), weights), behind

    def _say(self, x: Tensor, weights: Tensor) -> Decoded:
        feats = self.out(x).unflatten(2, (-1, self.feat_dim)).flatten(1, 2)
        return Decoded(feats, self.stop(x).flatten(1), weights, x)
