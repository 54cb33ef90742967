"""Convolution over the time axis of (B, T, D)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class TimeConv(nn.Conv1d):
    """``y_t = b + sum_k W_k x_{t + k - (K - 1) // 2}`` over frames that are no padding; frames outside of them count as 0.

    Parameters are those of ``torch.nn.Conv1d``; inputs and outputs are (B, T, D). As many frames come out as go in; an even
    number of taps looks one frame further ahead than back, as TensorFlow's "same" does.

    Args:
        in_dim: Channels of the input.
        out_dim: Channels of the output.
        kernel_size: Taps K.
        bias: Whether there is b; without, where a batch norm follows, which would take it away.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel_size: int, bias: bool = True) -> None:
        super().__init__(in_dim, out_dim, kernel_size, bias=bias)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Filter.

        Args:
            x: (B, T, in_dim).
            padding: (B, T) bool, True at padding; None when nothing is padded.

        Returns:
            (B, T, out_dim); padding holds unspecified values.
        """
        if padding is not None:
            x = x.masked_fill(padding.unsqueeze(-1), 0.0)
        (taps,) = self.kernel_size
        if taps % 2 == 0:
            x = F.pad(x, (0, 0, 0, 1))
        # As an image one pixel high whose channels lie together, x needs no transposed copy and meets a faster kernel.
        image = x.transpose(1, 2).unsqueeze(2)  # (B, D, 1, T), channels last
        out = F.conv2d(image, self.weight.unsqueeze(2), self.bias, padding=(0, (taps - 1) // 2))
        return out.squeeze(2).transpose(1, 2)  # (B, T, D)
