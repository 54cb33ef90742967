"""The bottleneck before an autoregressive decoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from speechkit.nn.dropout import dropout


class Prenet(nn.Module):
    """Layers of ``dropout(relu(W x + b))`` over the last frame, whose dropout stays on when the network speaks (Wang et al.,
    2017, Tacotron, arXiv:1703.10135, section 3.2; Shen et al., 2018, Tacotron 2, arXiv:1712.05884, section 2.2).

    A decoder that always hears its own past badly has to listen to the text: the same as scheduled sampling, for less.

    Args:
        in_dim: Width F of a frame.
        dims: Widths of the layers: (256, 128) in Tacotron, (256, 256) in Tacotron 2.
        dropout: Dropout probability in [0, 1).
        always_on: Whether frames are dropped in evaluation, too.
    """

    def __init__(
        self, in_dim: int, dims: Sequence[int] = (256, 256), dropout: float = 0.5, always_on: bool = True
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: expected a probability in [0, 1), got {dropout}")
        widths = [in_dim, *dims]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.p, self.always_on, self.out_dim = dropout, always_on, widths[-1]

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Map frames.

        Args:
            x: (B, T, F).
            generator: Where the dropout is drawn from; None for torch's own. With one, all utterances of the batch have the
                same elements dropped, so that each sounds as it does alone, and T frames at once have the same as T calls
                with one frame each have (on a CPU).

        Returns:
            (B, T, D).
        """
        if not (self.training or self.always_on) or self.p == 0:
            for layer in self.layers:
                x = layer(x).relu()
            return x
        if generator is None:
            for layer in self.layers:
                x = dropout(layer(x).relu(), self.p)
            return x
        for layer, kept in zip(self.layers, self._draw(x, generator)):
            x = layer(x).relu() * kept
        return x

    def _draw(self, x: Tensor, generator: torch.Generator) -> Sequence[Tensor]:
        """For each layer (T, D) what its output is multiplied by; one frame after the other is drawn, for all layers."""
        widths = [layer.out_features for layer in self.layers]
        drawn = torch.rand(x.shape[1], sum(widths), generator=generator, device=generator.device).to(x.device)
        return ((drawn >= self.p).to(x.dtype) / (1 - self.p)).split(widths, dim=1)
