"""What Glow-TTS and VITS share: tokens become Gaussians, under which a search finds the most likely durations."""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.graphs.monotonic_alignment import gaussian_log_likelihoods, monotonic_durations
from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Alignment
from speechkit.models.encoder.base import Encoder
from speechkit.models.encoder.transformer import Transformer
from speechkit.nn.dropout import Dropout
from speechkit.nn.length_regulator import frame_tokens, regulate_length
from speechkit.nn.time_conv import TimeConv
from speechkit.utils.lens import padding_mask


class Gaussians(NamedTuple):
    """What the frames of each token are drawn from.

    Args:
        hidden: (B, U, H) encodings of the tokens.
        means: (B, U, D).
        log_stds: (B, U, D) natural logarithms.
    """

    hidden: Tensor
    means: Tensor
    log_stds: Tensor


class AligningModel(AcousticModel):
    """Finds durations itself, by the likelihood of the frames given the tokens.

    Args:
        config: The options.
        facts: Of the data.
        dim: Channels D of the frames that tokens are compared with.
        mean_only: Whether all deviations are 1.
    """

    class Config(AcousticModel.Config):
        """Options of models that find durations by likelihood."""

        embed_dim: int = Field(192, ge=1)
        """Width of the tokens' embedding."""
        prenet_layers: int = Field(0, ge=0)
        """Convolutions between embedding and encoder, with a residual connection around them."""
        encoder: Choice[Encoder] = Transformer.Config(
            subsampling="stack", subsampling_factor=1, dim=192, num_layers=6, num_heads=2, ff_dim=768, position="relative"
        )
        """Encoder of the tokens; it must keep every one of them: subsampling stack, subsampling_factor 1."""
        speaker_dim: int = Field(256, ge=1)
        """Width of the vector that tells who speaks, and how."""

    def __init__(self, config: Config, facts: AcousticFacts, dim: int, mean_only: bool = False) -> None:
        super().__init__(config, facts)
        self.text = TextPrior(config, facts.vocabulary.size, dim, mean_only)
        self.add_conditions(config.speaker_dim)
        self.cond_dim = self.conditions.dim


class TextPrior(nn.Module):
    """From tokens to :class:`Gaussians`.

    Args:
        config: The options.
        vocab_size: V.
        out_dim: D.
        mean_only: Whether all deviations are 1.
    """

    def __init__(self, config: AligningModel.Config, vocab_size: int, out_dim: int, mean_only: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab_size, config.embed_dim)
        nn.init.normal_(self.embed.weight, std=config.embed_dim**-0.5)  # encoders scale their input
        layers = config.prenet_layers
        self.prenet = ConvPrenet(config.embed_dim, layers) if layers else None
        self.encoder = config.encoder.build(in_dim=config.embed_dim)
        if self.encoder.subsampling_factor != 1:
            raise ValueError(
                f"encoder.subsampling_factor: expected 1, as every token counts, got {self.encoder.subsampling_factor}; set "
                "encoder.subsampling: stack and encoder.subsampling_factor: 1"
            )
        self.means = nn.Linear(self.encoder.out_dim, out_dim)
        self.log_stds = None if mean_only else nn.Linear(self.encoder.out_dim, out_dim)

    def forward(self, tokens: Tensor, token_lens: Tensor) -> Gaussians:
        """Encode ``tokens`` (B, U) with lengths (B,)."""
        x = self.embed(tokens)
        if self.prenet is not None:
            x = self.prenet(x, padding_mask(token_lens, x.shape[1]))
        hidden, _ = self.encoder(x, token_lens)
        means = self.means(hidden)
        return Gaussians(hidden, means, torch.zeros_like(means) if self.log_stds is None else self.log_stds(hidden))


class ConvPrenet(nn.Module):
    """``x + W c(x)`` with layers c of convolution, layer norm, ReLU and dropout; W begins as 0 (Kim et al., 2020, Glow-TTS,
    appendix A.1).

    Args:
        dim: Channels.
        num_layers: Layers.
        kernel_size: Taps.
        dropout: Probability behind each layer.
    """

    def __init__(self, dim: int, num_layers: int, kernel_size: int = 5, dropout: float = 0.5) -> None:
        super().__init__()
        self.convs = nn.ModuleList(TimeConv(dim, dim, kernel_size) for _ in range(num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(num_layers))
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(dim, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map ``x`` (B, U, D) to (B, U, D)."""
        hidden = x
        for conv, norm in zip(self.convs, self.norms):
            hidden = self.dropout(norm(conv(hidden, padding)).relu())
        return x + self.out(hidden)


@torch.no_grad()
def find_durations(z: Tensor, lens: Tensor, prior: Gaussians, token_lens: Tensor) -> Tensor:
    """(B, U) int64: the durations under which frames ``z`` (B, T, D) with lengths (B,) are most likely, at least 1 each."""
    with torch.autocast(z.device.type, enabled=False):  # the squares cancel, which half precision does not survive
        z, means, log_stds = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (z, prior.means, prior.log_stds))
        return monotonic_durations(gaussian_log_likelihoods(z, means, log_stds), lens, token_lens)


def spread(prior: Gaussians, token_lens: Tensor, durations: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
    """Means and logarithms of deviations, (B, T, D) each, of frames of tokens that last ``durations`` (B, U)."""
    both = torch.cat([prior.means, prior.log_stds], dim=2)
    frames, _ = regulate_length(both, token_lens, durations, num_frames)
    means, log_stds = frames.chunk(2, dim=2)
    return means, log_stds


def hard_alignment(durations: Tensor, token_lens: Tensor, lens: Tensor, num_frames: int) -> Alignment:
    """The alignment that gives each of ``num_frames`` frames to the one token that ``durations`` (B, U) say."""
    tokens, _ = frame_tokens(durations, token_lens, num_frames)
    weights = torch.zeros(*tokens.shape, durations.shape[1], device=durations.device)
    weights.scatter_(2, tokens.unsqueeze(2), (~padding_mask(lens, num_frames)).unsqueeze(2).to(weights.dtype))
    return Alignment(weights, lens, token_lens, durations=durations)
