"""Convolutions that make a signal an exact number of times longer."""

from __future__ import annotations

from torch import nn


class TransposedConv(nn.ConvTranspose1d):
    """T frames to exactly ``rate * T``, each of which sees the two frames nearest to it.

    The kernel spans ``2 * rate``, as in MelGAN and HiFi-GAN; of the ``(T + 1) * rate`` frames that it reaches, ``rate / 2``
    are cut off at either end (for an odd rate one more at the start).

    Args:
        in_dim: Channels C.
        out_dim: Channels.
        rate: At least 2.
    """

    def __init__(self, in_dim: int, out_dim: int, rate: int) -> None:
        odd = rate % 2
        super().__init__(in_dim, out_dim, 2 * rate, rate, padding=rate // 2 + odd, output_padding=odd)
