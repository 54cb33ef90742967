"""The post-net of Tacotron 2: convolutions that see what comes later, which the decoder could not."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from speechkit.nn.dropout import Dropout
from speechkit.nn.norm import MaskedBatchNorm
from speechkit.nn.time_conv import TimeConv
from speechkit.utils.lens import padding_mask


class Postnet(nn.Module):
    """``x + f(x)`` with f layers of convolution, batch norm, tanh (but for the last) and dropout (Shen et al., 2018,
    Tacotron 2, arXiv:1712.05884, section 2.2).

    Args:
        feat_dim: Width F of the spectrogram.
        hidden_dim: Channels between the convolutions.
        num_layers: Convolutions, 2 or more.
        kernel_size: Their taps, in frames.
        dropout: Dropout probability, in [0, 1).
    """

    def __init__(
        self, feat_dim: int, hidden_dim: int = 512, num_layers: int = 5, kernel_size: int = 5, dropout: float = 0.5
    ) -> None:
        super().__init__()
        widths = [feat_dim, *[hidden_dim] * (num_layers - 1), feat_dim]
        self.convs = nn.ModuleList(TimeConv(*pair, kernel_size, bias=False) for pair in pairwise(widths))
        self.norms = nn.ModuleList(MaskedBatchNorm(width) for width in widths[1:])
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """Refine.

        Args:
            x: (B, T, F) predicted frames; what lies at padding does not matter.
            x_lens: (B,) int64.

        Returns:
            (B, T, F), 0 at padding.
        """
        padding = padding_mask(x_lens, x.shape[1])
        y = x = x.masked_fill(padding.unsqueeze(2), 0.0)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms), start=1):
            y = norm(conv(y, padding), padding)
            y = self.dropout(y if i == len(self.convs) else y.tanh())
        return (x + y).masked_fill(padding.unsqueeze(2), 0.0)
