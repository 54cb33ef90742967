"""From a number at each position to a vector: by a convolution, or by the interval that the number lies in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.nn.time_conv import TimeConv


class ConvEmbedding(nn.Module):
    """A convolution over the numbers (Lancucki, 2021, FastPitch, arXiv:2006.06873, section 2).

    Args:
        dim: Width D.
        kernel_size: Taps, in positions.
    """

    def __init__(self, dim: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = TimeConv(1, dim, kernel_size)

    def forward(self, z: Tensor, padding: Tensor | None, low: Tensor, high: Tensor) -> Tensor:
        """Embed.

        Args:
            z: (B, N) normalised numbers.
            padding: (B, N) bool, True at padding; None when nothing is padded.
            low: The smallest number in the training data; not read.
            high: The largest one; not read.

        Returns:
            (B, N, D); padding holds unspecified values.
        """
        return self.conv(z.unsqueeze(2), padding)


class BucketEmbedding(nn.Module):
    """A vector for each of ``num_buckets`` equal intervals between the smallest and the largest number in the training data
    (Ren et al., 2021, FastSpeech 2, arXiv:2006.04558, section 2.3); what lies outside counts to the outermost.

    Args:
        dim: Width D.
        num_buckets: Intervals.
    """

    def __init__(self, dim: int, num_buckets: int = 256) -> None:
        super().__init__()
        self.table = nn.Embedding(num_buckets, dim)

    def forward(self, z: Tensor, padding: Tensor | None, low: Tensor, high: Tensor) -> Tensor:
        """Embed; see :meth:`ConvEmbedding.forward`."""
        return self.table(buckets(z, low, high, self.table.num_embeddings))


def buckets(z: Tensor, low: Tensor, high: Tensor, number: int) -> Tensor:
    """int64 of the shape of ``z``, from 0 to ``number - 1``: which of as many equal intervals from ``low`` to ``high``."""
    share = (z - low) / (high - low).clamp(min=torch.finfo(z.dtype).tiny)
    return (share * number).floor().clamp(0, number - 1).long()
