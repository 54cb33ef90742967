"""Dropout whose mask is hashed, not drawn: cheap on a CPU, and stored nowhere.

On a CPU torch draws one Bernoulli number after the other with one thread, which can take a third of the time of all matrix
products of a Conformer. Here a hash of (seed, element number) gives 16 random bits per element, and the backward pass
hashes again instead of keeping the mask. The seed comes from torch's generator, so ``torch.manual_seed`` fixes the masks.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_BLOCK = 2048  # elements whose random bits stay in the first-level cache
_LEVELS = 1 << 16  # p is rounded to a multiple of 1 / _LEVELS, and the scale fits the rounded p

u16, u32 = np.uint16, np.uint32


class Dropout(nn.Module):
    """Inverted dropout: zero each element with probability ``p`` while training, scale the rest by ``1 / (1 - p)``.

    Args:
        p: Probability in [0, 1); on a CPU it is rounded to a multiple of 1/65536.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout: expected a probability in [0, 1), got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of ``x`` of any shape; the identity in evaluation."""
        return dropout(x, self.p) if self.training else x

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"p={self.p}"


def dropout(x: Tensor, p: float) -> Tensor:
    """Zero each element of ``x`` with probability ``p`` in [0, 1), scale the others by ``1 / (1 - p)``."""
    if p == 0:
        return x
    return _HashedDropout.apply(x, p, draw_seed()) if can_hash(x) else F.dropout(x, p)


def can_hash(x: Tensor) -> bool:
    """Whether :func:`drop_` works on a tensor like ``x``."""
    return x.device.type == "cpu" and x.dtype in _KERNELS and not torch.compiler.is_compiling()


def draw_seed() -> int:
    """A seed for :func:`drop_` from torch's default generator."""
    return int(torch.empty((), dtype=torch.int64).random_())


def drop_(x: Tensor, p: float, seed: int) -> Tensor:
    """Drop elements of ``x`` (contiguous, on the CPU) in place; the same seed drops the same elements."""
    threshold = min(round(p * _LEVELS), _LEVELS - 1)
    as_type, kernel = _KERNELS[x.dtype]
    flat = x.detach().view(as_type).view(-1).numpy()
    kernel(flat, u32(seed & 0xFFFFFFFF), u32(seed >> 32), u16(threshold), _LEVELS / (_LEVELS - threshold))
    return x


class _HashedDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.p, ctx.seed = p, seed
        return drop_(x.clone(memory_format=torch.contiguous_format), p, seed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return drop_(grad.clone(memory_format=torch.contiguous_format), ctx.p, ctx.seed), None, None


@numba.njit(inline="always")
def _random_bits(words: np.ndarray, start: int, seed_low: int, seed_high: int) -> None:
    """Fill ``words`` with 32 bits each: two rounds of multiply and xor-shift over the word's number, keyed twice."""
    for i in range(len(words)):
        x = u32(u32(start + i) ^ seed_low)
        x = u32(u32(x ^ u32(x >> u32(16))) * u32(0x21F0AAAD))
        x = u32(u32(x ^ u32(x >> u32(15))) + seed_high)
        x = u32(x * u32(0x735A2D97))
        words[i] = u32(x ^ u32(x >> u32(15)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _drop_floats(x, seed_low, seed_high, threshold, scale):  # noqa: ANN001, ANN202
    words = np.empty(_BLOCK // 2, np.uint32)
    bits = words.view(np.uint16)
    factor = x.dtype.type(scale)
    for start in range(0, len(x), _BLOCK):
        _random_bits(words, start, seed_low, seed_high)
        block = x[start : start + _BLOCK]  # indices that could be negative would keep the loop from being vectorised
        for i in range(len(block)):
            value = block[i] * factor
            block[i] = value if bits[i] >= threshold else x.dtype.type(0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _drop_bfloat16(x, seed_low, seed_high, threshold, scale):  # noqa: ANN001, ANN202
    """bfloat16 as uint16: the upper half of a float32; rounded to nearest, ties to even."""
    words = np.empty(_BLOCK // 2, np.uint32)
    bits = words.view(np.uint16)
    floats = np.empty(_BLOCK, np.float32)
    patterns = floats.view(np.uint32)
    factor = np.float32(scale)
    for start in range(0, len(x), _BLOCK):
        _random_bits(words, start, seed_low, seed_high)
        block = x[start : start + _BLOCK]
        for i in range(len(block)):
            patterns[i] = u32(block[i]) << u32(16)
        for i in range(len(block)):
            floats[i] *= factor
        for i in range(len(block)):
            tie = u32(u32(patterns[i] >> u32(16)) & u32(1))
            rounded = u32(u32(patterns[i] + u32(0x7FFF)) + tie) >> u32(16)
            block[i] = u16(rounded) if bits[i] >= threshold else u16(0)


_KERNELS = {
    torch.float32: (torch.float32, _drop_floats),
    torch.float64: (torch.float64, _drop_floats),
    torch.bfloat16: (torch.uint16, _drop_bfloat16),
}
