"""The encoder of Tacotron 2: convolutions for what stands close together, an LSTM to both sides for the rest."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechkit.nn.dropout import Dropout
from speechkit.nn.norm import MaskedBatchNorm
from speechkit.nn.time_conv import TimeConv
from speechkit.utils.lens import padding_mask


class ConvStack(nn.Module):
    """Layers of convolution, batch norm, ReLU and dropout (Shen et al., 2018, Tacotron 2, arXiv:1712.05884, section 2.2).

    Args:
        in_dim: Width of the input.
        dim: Channels D of all convolutions.
        num_layers: Convolutions.
        kernel_size: Their taps.
        dropout: Dropout probability, in [0, 1).
    """

    def __init__(self, in_dim: int, dim: int = 512, num_layers: int = 3, kernel_size: int = 5, dropout: float = 0.5) -> None:
        super().__init__()
        widths = [in_dim] + [dim] * num_layers
        self.convs = nn.ModuleList(TimeConv(*pair, kernel_size, bias=False) for pair in pairwise(widths))
        self.norms = nn.ModuleList(MaskedBatchNorm(dim) for _ in self.convs)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """Map ``x`` (B, U, in_dim), whose padding does not matter, to (B, U, D), 0 at padding."""
        padding = padding_mask(x_lens, x.shape[1])
        for conv, norm in zip(self.convs, self.norms):
            x = self.dropout(norm(conv(x, padding), padding).relu())
        return x.masked_fill(padding.unsqueeze(2), 0.0)


class ConvLstm(nn.Module):
    """A :class:`ConvStack` and one bidirectional LSTM.

    Differs from the paper: the LSTM has no zoneout.

    Args:
        in_dim: Width of the input.
        dim: Channels of the convolutions, and width D of the output, even.
        num_layers: Convolutions.
        kernel_size: Their taps.
        dropout: Dropout probability of their outputs, in [0, 1).
    """

    def __init__(self, in_dim: int, dim: int = 512, num_layers: int = 3, kernel_size: int = 5, dropout: float = 0.5) -> None:
        super().__init__()
        if dim % 2:
            raise ValueError(f"dim: expected an even number, got {dim}; half of it goes to each side of the LSTM")
        self.convs = ConvStack(in_dim, dim, num_layers, kernel_size, dropout)
        self.lstm = nn.LSTM(dim if num_layers else in_dim, dim // 2, batch_first=True, bidirectional=True)
        self.out_dim = dim

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """Map ``x`` (B, U, in_dim), whose padding does not matter, to (B, U, D), 0 at padding."""
        x = self.convs(x, x_lens)
        # Packing knows no empty sequence: one of length 0 is read as one token, and then hidden.
        packed = pack_padded_sequence(x, x_lens.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return out.masked_fill(padding_mask(x_lens, x.shape[1]).unsqueeze(2), 0.0)
