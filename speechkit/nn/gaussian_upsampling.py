"""From tokens to frames, softly: each frame is a mixture of the tokens around it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechkit.utils.lens import padding_mask


class GaussianUpsampling(nn.Module):
    """``u_t = sum_i w_ti h_i`` with weights of Gaussians whose ranges are learned (Shen et al., 2020, Non-Attentive Tacotron,
    arXiv:2010.04301, section 3.1).

    The ranges are ``sigma = softplus(W [LSTM([h; d])] + b)``; see :func:`gaussian_weights` for the rest.

    Differs from the paper: frame t is at t + 1/2, its middle, so that a text read backwards gives the frames backwards; and
    ranges are a hundredth of a frame at least.

    Args:
        dim: Width D of the encodings, even.
        num_layers: Layers of the bidirectional LSTM, ``dim // 2`` cells to each side.
    """

    def __init__(self, dim: int, num_layers: int = 2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim + 1, dim // 2, num_layers, batch_first=True, bidirectional=True)
        self.range = nn.Linear(2 * (dim // 2), 1)

    def forward(
        self, x: Tensor, x_lens: Tensor, durations: Tensor, num_frames: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Upsample.

        Args:
            x: (B, U, D).
            x_lens: (B,) int64 tokens.
            durations: (B, U) frames, real or integer.
            num_frames: T; see :func:`gaussian_weights`.

        Returns:
            (B, T, D), 0 at padding, the lengths (B,) int64, and the weights (B, T, U).
        """
        ranges = self.ranges(x, x_lens, durations)
        weights, lens = gaussian_weights(durations, ranges, x_lens, num_frames)
        heard = x.masked_fill(padding_mask(x_lens, x.shape[1]).unsqueeze(2), 0.0)
        return weights.to(x.dtype) @ heard, lens, weights

    def ranges(self, x: Tensor, x_lens: Tensor, durations: Tensor) -> Tensor:
        """sigma (B, U) in frames, of encodings (B, U, D) whose tokens last ``durations`` (B, U) frames."""
        x = torch.cat([x, durations.to(x.dtype).unsqueeze(2)], dim=2)
        # Packing knows no empty sequence: one of length 0 is read as one token, which nobody looks at.
        packed = pack_padded_sequence(x, x_lens.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return F.softplus(self.range(out).squeeze(2).float()).clamp(min=0.01)


def gaussian_weights(
    durations: Tensor, ranges: Tensor, token_lens: Tensor, num_frames: int | None = None
) -> tuple[Tensor, Tensor]:
    """``w_ti = N(t + 1/2; c_i, sigma_i^2) / sum_j N(t + 1/2; c_j, sigma_j^2)``, ``c_i = d_1 + ... + d_{i-1} + d_i / 2``
    (Non-Attentive Tacotron, equations 1 to 3).

    As ``sigma_i = epsilon d_i`` goes to 0 each frame becomes that of the token whose time it is, as in
    :func:`speechkit.nn.length_regulator.regulate_length`. (With one small sigma for all it becomes that of the nearest centre,
    which may be a short neighbour's.)

    Args:
        durations: (B, U) frames, real or integer, at least 0; what lies at padding does not matter.
        ranges: (B, U) sigma in frames, above 0.
        token_lens: (B,) int64.
        num_frames: T, not less than any rounded sum of durations; the largest of them unless given.

    Returns:
        (B, T, U) float32 at least: rows sum to 1 over the tokens, and are 0 at padding; and the lengths (B,) int64, the sums of
        the durations, halves rounded up.
    """
    dtype = torch.promote_types(ranges.dtype, torch.float32)
    padding = padding_mask(token_lens, durations.shape[1])
    durations = durations.to(dtype).masked_fill(padding, 0.0)
    ends = durations.cumsum(1)
    lens = (ends[:, -1] + 0.5).floor().long()
    middles = torch.arange(int(lens.max()) if num_frames is None else num_frames, device=ranges.device) + 0.5
    ranges = ranges.to(dtype).masked_fill(padding, 1.0).unsqueeze(1)  # (B, 1, U)
    offsets = (middles.view(1, -1, 1) - (ends - durations / 2).unsqueeze(1)) / ranges  # (B, T, U)
    hidden = padding & (token_lens > 0).unsqueeze(1)  # where all were hidden, the softmax would be NaN
    weights = (-0.5 * offsets.square() - ranges.log()).masked_fill(hidden.unsqueeze(1), -torch.inf).softmax(2)
    return weights.masked_fill(padding_mask(lens, len(middles)).unsqueeze(2), 0.0), lens
