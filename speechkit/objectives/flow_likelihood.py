"""The likelihood that a flow gives to what it maps to noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor


def flow_nats(
    noise: Sequence[Tensor],
    log_det: Tensor,
    sigma: float = 1.0,
    normalize: Literal["utterance", "sample"] = "utterance",
) -> Tensor:
    """``-log p(x) = sum over z of [z^2 / (2 sigma^2) + log(2 pi sigma^2) / 2] - log |det dz/dx|``, of noise z that is Gaussian
    with mean 0 (Prenger et al., 2019, WaveGlow, arXiv:1811.00002, eq. 2 and 8).

    It is the exact negative log-density of the waveform: it may be negative, and falls by ``ln c`` per sample where samples
    are c times smaller.

    Differs from the paper, and from the figures of its implementations: the constant ``log(2 pi sigma^2) / 2`` per sample is
    there, which has no gradient. Theirs, which are per sample, are ``flow_nats(..., normalize="sample")`` less that constant:
    0.919 for sigma 1.

    Args:
        noise: Parts (B, ...) that together have as many numbers as the waveform has samples; no padding.
        log_det: (B,) of the Jacobian, in nats.
        sigma: Standard deviation of the noise.
        normalize: Nats of each whole segment (utterance), or per sample of it (sample), as in the paper's implementations,
            whose learning rates and thresholds for gradients are of that size.

    Returns:
        (B,) float32 at least.
    """
    if sigma <= 0:
        raise ValueError(f"sigma: expected more than 0, got {sigma}; use the standard deviation of the noise, such as 1")
    count = sum(part[0].numel() for part in noise)
    dtype = torch.promote_types(log_det.dtype, torch.float32)
    squares = sum(part.to(dtype).square().flatten(1).sum(1) for part in noise)
    nats = squares / (2 * sigma**2) + 0.5 * count * math.log(2 * math.pi * sigma**2) - log_det
    return nats if normalize == "utterance" else nats / max(count, 1)
