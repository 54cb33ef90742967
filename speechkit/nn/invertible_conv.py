"""Invertible 1x1 convolutions: learned mixtures of channels between the couplings of a flow."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.nn.flow import Flow, num_valid, zero_padding


class InvertibleConv(Flow):
    """``y_t = W x_t``, ``log |det| = T ln |det W|`` (Kingma and Dhariwal, 2018, Glow, section 3.2); W begins as a rotation.

    With a ``group_size`` of G it is that of Glow-TTS (Kim et al., 2020, arXiv:2005.11129, appendix A.1): one W of G x G
    mixes the channels within each of D / G groups. Half of a group is from the lower half of the channels, half from the
    upper one, because couplings take the halves apart.

    Args:
        dim: Channels D.
        group_size: G, even, a divisor of D; None mixes all channels.
    """

    def __init__(self, dim: int, group_size: int | None = None) -> None:
        super().__init__()
        if group_size is not None and (group_size < 2 or group_size % 2 or dim % group_size):
            raise ValueError(f"group_size: expected an even divisor of the {dim} channels, got {group_size}; try 2 or 4")
        self.group_size, self.num_groups = group_size, 1 if group_size is None else dim // group_size
        rotation, _ = torch.linalg.qr(torch.randn(group_size or dim, group_size or dim, dtype=torch.float64))
        rotation[:, 0] *= torch.linalg.det(rotation).sign()
        self.weight = nn.Parameter(rotation.to(torch.get_default_dtype()))

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.forward`."""
        weight = self._precise_weight()
        log_det = torch.linalg.slogdet(weight).logabsdet * self.num_groups * num_valid(x, padding_mask)
        return zero_padding(self._mix(x, weight), padding_mask), log_det

    def inverse(self, y: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """See :meth:`Flow.inverse`."""
        # In double precision, as one inverse is for many frames.
        weight = torch.linalg.inv(self.weight.double()).to(self._precise_weight().dtype)
        return zero_padding(self._mix(y, weight), padding_mask)

    def _precise_weight(self) -> Tensor:
        return self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))  # torch has no half determinants

    def _mix(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.group_size is None:
            return x @ weight.to(x.dtype).t()
        # Channels (h, i, j): half h, group i, place j among the group's channels of that half.
        parts = x.unflatten(-1, (2, self.num_groups, self.group_size // 2)).transpose(-3, -2).flatten(-2)  # (B, T, D/G, G)
        mixed = parts @ weight.to(x.dtype).t()
        return mixed.unflatten(-1, (2, self.group_size // 2)).transpose(-3, -2).flatten(-3)
