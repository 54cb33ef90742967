"""Activation normalisation: scales and shifts that begin with what the first batch needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.nn.flow import Flow, num_valid, zero_padding
from speechkit.utils.dist import sums_over_ranks


class ActivationNorm(Flow):
    """``y = b + exp(s) x`` with a learned b and s for each channel (Kingma and Dhariwal, 2018, Glow, section 3.1).

    The first batch in training, over all ranks, sets b and s so that each channel of y has mean 0 and variance 1 there; after
    that they are parameters like others, and nothing depends on the batch.

    Args:
        dim: Channels D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.register_buffer("is_initialized", torch.tensor(False))
        self._known_initialized = False  # saves asking a GPU in every step

    def forward(self, x: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.forward`."""
        if self.training and not self._known_initialized:
            if not self.is_initialized:
                self._initialize(x.detach(), padding_mask)
            self._known_initialized = True
        y = zero_padding(self.bias + self.log_scale.exp() * x, padding_mask)
        return y, self.log_scale.sum() * num_valid(x, padding_mask)

    def inverse(self, y: Tensor, padding_mask: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        """See :meth:`Flow.inverse`."""
        return zero_padding((y - self.bias) * (-self.log_scale).exp(), padding_mask)

    @torch.no_grad()
    def _initialize(self, x: Tensor, padding_mask: Tensor | None) -> None:
        frames = x.flatten(0, 1) if padding_mask is None else x[~padding_mask]  # (N, D)
        count, total = self._sums(torch.ones_like(frames[:, :1]), frames)
        mean = total / count.clamp(min=1)
        (squares,) = self._sums((frames.double() - mean).square())
        variance = (squares / count.clamp(min=1)).clamp(min=1e-6)
        self.log_scale.copy_(-0.5 * variance.log())
        self.bias.copy_(-mean * variance.rsqrt())
        self.is_initialized.fill_(True)

    def _sums(self, *parts: Tensor) -> list[Tensor]:
        """Sums over the frames (N, D_i) of all ranks, in double precision: a channel far from 0 keeps its variance."""
        widths = [part.shape[1] for part in parts]
        sums = torch.cat([part.double().sum(0) for part in parts])
        total = sums_over_ranks(sums.tolist(), sums.device)
        return list(sums.new_tensor(total).split(widths))

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._known_initialized = False
