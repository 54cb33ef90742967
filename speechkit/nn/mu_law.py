"""Mu-law companding: samples as few codes that lie densely where speech is quiet."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mu_law_encode(wav: Tensor, mu: int) -> Tensor:
    """The nearest of ``mu + 1`` codes on the companded scale ``sign(x) ln(1 + mu |x|) / ln(1 + mu)`` (ITU-T G.711; van den
    Oord et al., 2016, arXiv:1609.03499, section 2.2).

    Args:
        wav: Samples of any shape in [-1, 1]; what lies outside counts as the nearer end.
        mu: Codes less one, 255 for 8 bits.

    Returns:
        int64 codes in [0, mu], of the same shape.
    """
    wav = wav.clamp(-1.0, 1.0)
    companded = wav.sign() * torch.log1p(mu * wav.abs()) / math.log1p(mu)
    return ((companded + 1) / 2 * mu + 0.5).floor().long()


def mu_law_decode(codes: Tensor, mu: int) -> Tensor:
    """The samples in the middle of ``codes``: ``sign(y) ((1 + mu)^|y| - 1) / mu``.

    Args:
        codes: int64 of any shape in [0, mu].
        mu: As they were encoded.

    Returns:
        Samples in [-1, 1] of torch's default float type, which encode to the same codes.
    """
    companded = 2 * codes.to(torch.get_default_dtype()) / mu - 1
    return companded.sign() * torch.expm1(companded.abs() * math.log1p(mu)) / mu
