"""Mu-law companding: fine steps near silence, coarse ones where it is loud. For tensors and for numpy arrays alike."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Samples = TypeVar("Samples", Tensor, np.ndarray)
MU = 255
"""Of G.711, and of WaveNet's 256 values."""


def mu_law(x: Samples, mu: int = MU) -> Samples:
    """``sign(x) ln(1 + mu |x|) / ln(1 + mu)`` (ITU-T G.711; van den Oord et al. 2016, arXiv:1609.03499, section 2.2).

    Args:
        x: (...,) samples in [-1, 1]; what is beyond is clipped.
        mu: How much quiet samples are stretched, >= 1.

    Returns:
        (...,) in [-1, 1].
    """
    lib = _library(x)
    x = lib.clip(x, -1, 1)
    return lib.sign(x) * lib.log1p(mu * lib.abs(x)) / math.log1p(mu)


def mu_law_inverse(y: Samples, mu: int = MU) -> Samples:
    """The inverse of :func:`mu_law`: ``sign(y) ((1 + mu)^|y| - 1) / mu`` of ``y`` (...,) in [-1, 1]."""
    lib = _library(y)
    y = lib.clip(y, -1, 1)
    return lib.sign(y) * lib.expm1(lib.abs(y) * math.log1p(mu)) / mu


def mu_law_encode(x: Samples, mu: int = MU) -> Samples:
    """The nearest of the ``mu + 1`` values that are equally far apart after companding.

    Args:
        x: (...,) float samples in [-1, 1].
        mu: One less than the number of values.

    Returns:
        (...,) int64 in [0, mu]. Silence is between two of them if mu is odd, and becomes the upper one.
    """
    lib = _library(x)
    scaled = lib.floor((mu_law(x, mu) + 1) / 2 * mu + 0.5)
    return scaled.astype(np.int64) if lib is np else scaled.long()


def mu_law_decode(codes: Samples, mu: int = MU) -> Samples:
    """The samples (...,) in [-1, 1] in the middle of their codes: float32 arrays, or tensors of torch's default float type."""
    codes = codes.astype(np.float32) if isinstance(codes, np.ndarray) else codes.to(torch.get_default_dtype())
    return mu_law_inverse(codes / mu * 2 - 1, mu)


def _library(x: Any) -> Any:
    """The library whose functions take ``x``: they have the same names in both."""
    return np if isinstance(x, np.ndarray) else torch
