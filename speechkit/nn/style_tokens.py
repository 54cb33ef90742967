"""How somebody speaks, told by a recording or by a mixture of learned styles."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from speechkit.nn.linear import Linear
from speechkit.nn.norm import MaskedBatchNorm
from speechkit.utils.lens import padding_mask

CHANNELS = (32, 32, 64, 64, 128, 128)


class ReferenceEncoder(nn.Module):
    """A recording of any length as one vector: strided 2-D convolutions with batch norm and ReLU over its spectrogram, and
    the last state of a GRU over what they leave (Skerry-Ryan et al., 2018, arXiv:1803.09047, section 3.2).

    Every convolution halves time and frequency, rounded up.

    Args:
        feat_dim: Mel bins F.
        dim: Width of the vector.
        channels: Of the convolutions, one after the other.
    """

    def __init__(self, feat_dim: int, dim: int = 128, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(*pair, 3, stride=2, padding=1, bias=False) for pair in pairwise((1, *channels)))
        self.norms = nn.ModuleList(MaskedBatchNorm(width) for width in channels)
        for _ in channels:
            feat_dim = _half(feat_dim)
        self.gru = nn.GRU(feat_dim * channels[-1], dim, batch_first=True)

    def forward(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """Listen.

        Args:
            feats: (B, T, F), T >= 1; what lies at padding does not matter.
            feat_lens: (B,) int64.

        Returns:
            (B, dim).
        """
        x, lens = feats.unsqueeze(1), feat_lens  # (B, 1, T, F)
        for conv, norm in zip(self.convs, self.norms):
            padding = padding_mask(lens, x.shape[2])
            x = conv(x.masked_fill(padding[:, None, :, None], 0.0))
            lens = _half(lens)
            x = _normalize(norm, x, padding_mask(lens, x.shape[2])).relu()
        rows = x.transpose(1, 2).flatten(2)  # (B, T', C F')
        # Packing knows no empty sequence: one of length 0 is read as one frame.
        packed = pack_padded_sequence(rows, lens.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        return self.gru(packed)[1].squeeze(0)


class StyleTokens(nn.Module):
    """``style = sum_k w_k tanh(token_k)`` in each of H heads, with weights from attention of a recording's vector to the K
    tokens (Wang et al., 2018, Style Tokens, arXiv:1803.09017, section 3.1 and 3.2.2).

    Weights are on the simplex, so that styles may be chosen and mixed without a recording. A single token is one style for
    everybody.

    Differs from the paper: one projection of the tokens' heads; the reference encoder's vector is the query of all of them.

    Args:
        feat_dim: Mel bins F of the recordings.
        dim: Width D of the style, a multiple of ``num_heads``.
        num_tokens: Styles K.
        num_heads: Heads H.
        reference_dim: Width of the reference encoder's vector.
        channels: Of the reference encoder's convolutions.
    """

    def __init__(
        self,
        feat_dim: int,
        dim: int = 256,
        num_tokens: int = 10,
        num_heads: int = 4,
        reference_dim: int = 128,
        channels: tuple[int, ...] = CHANNELS,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"num_heads: expected a divisor of dim {dim}, got {num_heads}; change one of them")
        self.num_heads, self.head_dim = num_heads, dim // num_heads
        self.reference = ReferenceEncoder(feat_dim, reference_dim, channels)
        self.tokens = nn.Parameter(torch.randn(num_tokens, self.head_dim) * 0.5)
        self.query = Linear(reference_dim, dim, bias=False)
        self.key = Linear(self.head_dim, dim, bias=False)
        self.value = Linear(self.head_dim, dim, bias=False)

    def forward(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """The style (B, D) of recordings (B, T, F) with lengths (B,)."""
        return self.mix(self.weights(feats, feat_lens))

    def weights(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """(B, H, K), at least float32: how much of each token there is in recordings; sums to 1 over the tokens."""
        query = self.query(self.reference(feats, feat_lens)).unflatten(1, (self.num_heads, -1))  # (B, H, d)
        keys = self.key(self.tokens.tanh()).unflatten(1, (self.num_heads, -1))  # (K, H, d)
        scores = torch.einsum("bhd,khd->bhk", query, keys) * self.head_dim**-0.5
        return scores.softmax(2, dtype=torch.promote_types(scores.dtype, torch.float32))

    def mix(self, weights: Tensor) -> Tensor:
        """The style (B, D) of weights (B, H, K), or of weights (B, K) that all heads share."""
        if weights.ndim == 2:
            weights = weights.unsqueeze(1).expand(-1, self.num_heads, -1)
        values = self.value(self.tokens.tanh()).unflatten(1, (self.num_heads, -1))  # (K, H, d)
        return torch.einsum("bhk,khd->bhd", weights.to(values.dtype), values).flatten(1)


def _half(length: int | Tensor) -> int | Tensor:
    """What a convolution of 3 taps, stride 2 and padding 1 leaves."""
    return (length + 1) // 2


def _normalize(norm: MaskedBatchNorm, x: Tensor, padding: Tensor) -> Tensor:
    """Batch norm of (B, C, T, F) over all of batch, time and frequency that is no padding (B, T)."""
    batch, channels, length, bins = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, length * bins, channels)
    rows = norm(rows, padding.repeat_interleave(bins, dim=1))
    return rows.view(batch, length, bins, channels).permute(0, 3, 1, 2)
