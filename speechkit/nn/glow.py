"""The flow of Glow-TTS between spectrograms and noise."""

from __future__ import annotations

from torch import Tensor, nn

from speechkit.nn.activation_norm import ActivationNorm
from speechkit.nn.affine_coupling import AffineCoupling
from speechkit.nn.flow import FlowSequence, squeeze, unsqueeze
from speechkit.nn.invertible_conv import InvertibleConv
from speechkit.utils.lens import padding_mask


class Glow(nn.Module):
    """Blocks of activation norm, grouped 1x1 convolution and affine coupling, over groups of frames side by side (Kim et
    al., 2020, Glow-TTS, arXiv:2005.11129, section 3.3 and appendix A.1).

    Args:
        dim: Channels F of a frame.
        num_blocks: Blocks.
        squeeze: Frames side by side. Those that do not fill a group are dropped.
        group_size: Channels that a 1x1 convolution mixes, even; a divisor of ``squeeze * dim``.
        hidden_dim: Channels of the couplings' stacks.
        num_layers: Layers of each.
        kernel_size: Their taps, odd.
        dropout: Of the stacks.
        cond_dim: Channels C of the condition; 0 for none.
    """

    def __init__(
        self,
        dim: int,
        num_blocks: int = 12,
        squeeze: int = 2,
        group_size: int = 4,
        hidden_dim: int = 192,
        num_layers: int = 4,
        kernel_size: int = 5,
        dropout: float = 0.05,
        cond_dim: int = 0,
    ) -> None:
        super().__init__()
        self.squeeze, width = squeeze, squeeze * dim

        def block() -> tuple[ActivationNorm, InvertibleConv, AffineCoupling]:
            coupling = AffineCoupling(width, hidden_dim, [1] * num_layers, kernel_size, cond_dim, dropout=dropout)
            return ActivationNorm(width), InvertibleConv(width, group_size), coupling

        self.flow = FlowSequence(flow for _ in range(num_blocks) for flow in block())

    def forward(self, x: Tensor, lens: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """From data to noise.

        Args:
            x: (B, T, F); what lies at padding does not matter.
            lens: (B,) int64.
            cond: (B, 1, C) of each utterance; None where there is none.

        Returns:
            (B, S, F), 0 at padding, where S is T without what fills no group; the lengths (B,) int64; and the
            log-determinants (B,), in nats.
        """
        x, groups = squeeze(x, lens, self.squeeze)
        z, log_det = self.flow(x, padding_mask(groups, x.shape[1]), cond)
        return *unsqueeze(z, groups, self.squeeze), log_det

    def inverse(self, z: Tensor, lens: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From noise to data: frames (B, S, F), 0 at padding, and lengths (B,) of ``z`` (B, T, F) with ``lens`` (B,)."""
        z, groups = squeeze(z, lens, self.squeeze)
        return unsqueeze(self.flow.inverse(z, padding_mask(groups, z.shape[1]), cond), groups, self.squeeze)
