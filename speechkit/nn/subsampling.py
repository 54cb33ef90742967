"""From feature frames (B, T, F) to fewer, wider frames (B, S, D).

Every module has ``factor`` (feature frames per output frame) and ``output_lens(lens)``, exact for each utterance: an output
frame counts only if padding cannot reach it. An utterance too short for one output frame has length 0; the output still
holds at least one frame, so that nothing downstream meets an empty tensor.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.nn.conv2d import conv2d
from speechkit.nn.linear import Linear

Subsampling = Literal["conv2d", "vgg", "stack"]

_FACTORS = {"conv2d": (2, 4, 6, 8), "vgg": (2, 4, 8)}


def check_factor(name: Subsampling, factor: int) -> None:
    """Raise a ValueError if the subsampling called ``name`` cannot subsample by ``factor``."""
    if factor < 1 or factor not in _FACTORS.get(name, (factor,)):
        choices = ", ".join(map(str, _FACTORS[name])) if name in _FACTORS else ">= 1"
        raise ValueError(f"subsampling_factor: expected {choices} for {name}, got {factor}; stack takes any")


class Conv2dSubsampling(nn.Module):
    """Unpadded strided 2-D convolutions with relu, then a projection (Dong et al., 2018, Speech-Transformer, section 2.1).

    Args:
        in_dim: Feature dimension F.
        out_dim: Model dimension D, also the channels of the convolutions.
        factor: 2, 4, 6 or 8.
    """

    # (kernel, stride) of each convolution, equal in time and frequency.
    LAYERS = {
        2: ((3, 2), (3, 1)),
        4: ((3, 2), (3, 2)),
        6: ((3, 2), (5, 3)),
        8: ((3, 2), (3, 2), (3, 2)),
    }

    def __init__(self, in_dim: int, out_dim: int, factor: int = 4) -> None:
        super().__init__()
        check_factor("conv2d", factor)
        self.factor = factor
        self.min_len = _min_input(self.LAYERS[factor])
        if in_dim < self.min_len:
            raise ValueError(
                f"conv2d subsampling by {factor}: expected features of dimension >= {self.min_len}, got {in_dim}; use stack"
            )
        channels = [1] + [out_dim] * len(self.LAYERS[factor])
        self.convs = nn.ModuleList(
            nn.Conv2d(channels[i], channels[i + 1], kernel, stride)
            for i, (kernel, stride) in enumerate(self.LAYERS[factor])
        )
        self.convs.to(memory_format=torch.channels_last)
        self.out = Linear(out_dim * self._output_size(in_dim), out_dim)

    def _output_size(self, size: int | Tensor) -> int | Tensor:
        for kernel, stride in self.LAYERS[self.factor]:
            size = (size - kernel) // stride + 1
        return size

    def output_lens(self, lens: Tensor) -> Tensor:
        """Output lengths (B,) for input lengths (B,) in feature frames."""
        return self._output_size(lens).clamp(min=0)

    def forward(self, feats: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Subsample ``feats`` (B, T, F) to (B, S, D)."""
        feats = _pad_to(feats, self.min_len)
        # One utterance's activations stay in the cache of a CPU (20 MB for 10 s), those of a batch do not.
        parts = feats.split(1) if feats.device.type == "cpu" else (feats,)
        return self.out(torch.cat([self._convolve(part) for part in parts]))

    def _convolve(self, feats: Tensor) -> Tensor:
        """(B, T, F) -> (B, S, F' D), frequency before channel."""
        x = feats.unsqueeze(-1).permute(0, 3, 1, 2)  # (B, 1, T, F), channels last
        for conv in self.convs:
            x = F.relu(conv2d(x, conv.weight, conv.bias, conv.stride), inplace=True)
        return x.permute(0, 2, 3, 1).flatten(2)


class VggSubsampling(nn.Module):
    """Blocks of two padded 3x3 convolutions and a 2x2 max pooling (Hori et al., 2017, arXiv 1706.02737, section 3.1).

    Padding is zeroed before every convolution. Pooling rounds up, so any utterance gives an output frame.

    Args:
        in_dim: Feature dimension F.
        out_dim: Model dimension D.
        factor: 2, 4 or 8: a block halves.
        channels: Channels of the first block, doubled by each next one.
    """

    def __init__(self, in_dim: int, out_dim: int, factor: int = 4, channels: int = 64) -> None:
        super().__init__()
        check_factor("vgg", factor)
        self.factor = factor
        self.blocks = nn.ModuleList()
        num_in, num_out, size = 1, channels, in_dim
        for _ in range(factor.bit_length() - 1):
            convs = [nn.Conv2d(num_in, num_out, 3, padding=1), nn.Conv2d(num_out, num_out, 3, padding=1)]
            self.blocks.append(nn.ModuleList(convs))
            num_in, num_out, size = num_out, 2 * num_out, (size + 1) // 2
        self.out = Linear(num_in * size, out_dim)

    def output_lens(self, lens: Tensor) -> Tensor:
        """Output lengths (B,) for input lengths (B,) in feature frames."""
        return (lens + self.factor - 1) // self.factor

    def forward(self, feats: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Subsample ``feats`` (B, T, F) to (B, S, D)."""
        x = feats.unsqueeze(1)  # (B, 1, T, F)
        padding = None if padding_mask is None else padding_mask[:, None, :, None]  # (B, 1, T, 1)
        for block in self.blocks:
            for conv in block:
                x = F.relu(conv(x if padding is None else x.masked_fill(padding, 0.0)))
            # relu >= 0, so zeroed padding never wins a maximum against a valid frame.
            x = x if padding is None else x.masked_fill(padding, 0.0)
            x = F.max_pool2d(x, 2, ceil_mode=True)
            padding = None if padding is None else padding[:, :, ::2]
        return self.out(x.permute(0, 2, 3, 1).flatten(2))  # (B, C, S, F') -> (B, S, F' C) -> (B, S, D)


class StackSubsampling(nn.Module):
    """``factor`` neighbouring frames side by side (a reshape; a rest is dropped), then a projection (Sak et al., 2015).

    Args:
        in_dim: Feature dimension F.
        out_dim: Model dimension D.
        factor: Frames per stack, >= 1; 1 is a plain projection.
    """

    def __init__(self, in_dim: int, out_dim: int, factor: int = 4) -> None:
        super().__init__()
        check_factor("stack", factor)
        self.factor = factor
        self.out = Linear(in_dim * factor, out_dim)

    def output_lens(self, lens: Tensor) -> Tensor:
        """Output lengths (B,) for input lengths (B,) in feature frames."""
        return lens // self.factor

    def forward(self, feats: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Subsample ``feats`` (B, T, F) to (B, S, D)."""
        return self.out(stack_frames(_pad_to(feats, self.factor), self.factor))


def stack_frames(feats: Tensor, factor: int) -> Tensor:
    """Reshape (B, T, F) to (B, T // factor, factor F), oldest frame first; a rest of fewer than ``factor`` frames is dropped."""
    batch, length, dim = feats.shape
    return feats[:, : length // factor * factor].reshape(batch, length // factor, factor * dim)


def _min_input(layers: tuple[tuple[int, int], ...]) -> int:
    """Frames that unpadded convolutions of (kernel, stride) need for one output frame."""
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size


def _pad_to(feats: Tensor, length: int) -> Tensor:
    """``feats`` (B, T, F) with zero frames at its end up to ``length`` frames, if it has fewer."""
    return feats if feats.shape[1] >= length else F.pad(feats, (0, 0, 0, length - feats.shape[1]))


def make_subsampling(name: Subsampling, in_dim: int, out_dim: int, factor: int) -> nn.Module:
    """The subsampling module called ``name``.

    Raises:
        ValueError: an unknown name, or a factor or feature dimension it cannot serve.
    """
    modules = {"conv2d": Conv2dSubsampling, "vgg": VggSubsampling, "stack": StackSubsampling}
    if name not in modules:
        choices = ", ".join(get_args(Subsampling))
        raise ValueError(f"subsampling: expected one of {choices}, got {name!r}; choose one of them")
    return modules[name](in_dim, out_dim, factor)
