"""The CBHG module of Tacotron: convolution bank, highway, GRU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechkit.nn.highway import Highway
from speechkit.nn.norm import MaskedBatchNorm
from speechkit.nn.time_conv import TimeConv
from speechkit.utils.lens import padding_mask


class Cbhg(nn.Module):
    """A bank of convolutions of 1 to K taps, max-pooling over two frames, two convolutions around which the input is added,
    highway layers and a bidirectional GRU (Wang et al., 2017, Tacotron, arXiv:1703.10135, section 3.1 and table 1).

    As many frames come out as go in. Every convolution has a batch norm, over frames that are no padding, before its ReLU.

    Args:
        in_dim: Width D of the input.
        bank_size: K: 16 over the text, 8 over the spectrogram in the paper.
        bank_dim: Channels of each convolution of the bank.
        projection_dim: Channels between the two convolutions behind it; the second has D.
        highway_dim: Width of the highway layers; D is projected to it where it differs.
        num_highway_layers: Their number.
        gru_dim: Cells of the GRU to each side.

    Attributes:
        out_dim: Width of the output, ``2 * gru_dim``.
    """

    def __init__(
        self,
        in_dim: int,
        bank_size: int = 16,
        bank_dim: int = 128,
        projection_dim: int = 128,
        highway_dim: int = 128,
        num_highway_layers: int = 4,
        gru_dim: int = 128,
    ) -> None:
        super().__init__()
        self.bank = nn.ModuleList(TimeConv(in_dim, bank_dim, taps, bias=False) for taps in range(1, bank_size + 1))
        self.bank_norm = MaskedBatchNorm(bank_size * bank_dim)
        self.narrow = TimeConv(bank_size * bank_dim, projection_dim, 3, bias=False)
        self.narrow_norm = MaskedBatchNorm(projection_dim)
        self.restore = TimeConv(projection_dim, in_dim, 3, bias=False)
        self.restore_norm = MaskedBatchNorm(in_dim)
        self.resize = nn.Identity() if in_dim == highway_dim else nn.Linear(in_dim, highway_dim)
        self.highway = Highway(highway_dim, num_highway_layers)
        self.gru = nn.GRU(highway_dim, gru_dim, batch_first=True, bidirectional=True)
        self.out_dim = 2 * gru_dim

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """Map sequences.

        Args:
            x: (B, T, D); what lies at padding does not matter.
            x_lens: (B,) int64.

        Returns:
            (B, T, out_dim), 0 at padding.
        """
        padding = padding_mask(x_lens, x.shape[1])
        x = x.masked_fill(padding.unsqueeze(2), 0.0)
        y = self.bank_norm(torch.cat([conv(x) for conv in self.bank], dim=2), padding).relu()
        y = max_pool(y, padding)
        y = self.narrow_norm(self.narrow(y, padding), padding).relu()
        y = self.restore_norm(self.restore(y, padding), padding)
        y = self.highway(self.resize(x + y))
        # Packing knows no empty sequence: one of length 0 is read as one frame, and then hidden.
        packed = pack_padded_sequence(y, x_lens.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])
        return out.masked_fill(padding.unsqueeze(2), 0.0)


def max_pool(x: Tensor, padding: Tensor) -> Tensor:
    """``max(x_t, x_{t+1})`` for each frame of ``x`` (B, T, D), the last one of each utterance alone; -inf at padding."""
    x = x.masked_fill(padding.unsqueeze(2), -torch.inf)
    return torch.maximum(x, F.pad(x[:, 1:], (0, 0, 0, 1), value=-torch.inf))
