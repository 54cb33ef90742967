"""Feed-forward module whose projections see neighbouring positions."""

from __future__ import annotations

from torch import Tensor, nn

from speechkit.nn.activation import Activation, ActivationDropout
from speechkit.nn.linear import Linear
from speechkit.nn.time_conv import TimeConv


class ConvFeedForward(nn.Module):
    """``conv_2(dropout(act(conv_1(x))))`` over time (Ren et al., 2019, FastSpeech, arXiv:1905.09263, section 3.1).

    With kernels (1, 1) it is :class:`speechkit.nn.feed_forward.FeedForward`.

    Args:
        dim: Model dimension D.
        hidden_dim: Channels between the two convolutions.
        kernel_sizes: Taps of both; (9, 1) in FastSpeech 2, (3, 3) in FastSpeech.
        activation: Between the two; the paper has relu.
        dropout: After the activation, in [0, 1).
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        kernel_sizes: tuple[int, int] = (9, 1),
        activation: Activation = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.expand = _projection(dim, hidden_dim, kernel_sizes[0])
        self.activation = ActivationDropout(activation, dropout)
        self.contract = _projection(hidden_dim, dim, kernel_sizes[1])

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map ``x`` (B, T, D) to (B, T, D).

        Args:
            x: (B, T, D).
            padding: (B, T) bool, True at padding, which counts as 0; None when nothing is padded.
        """
        return _apply(self.contract, self.activation(_apply(self.expand, x, padding)), padding)


def _projection(in_dim: int, out_dim: int, kernel_size: int) -> nn.Module:
    # One tap is a matrix product, which needs no mask and has the faster library.
    return Linear(in_dim, out_dim) if kernel_size == 1 else TimeConv(in_dim, out_dim, kernel_size)


def _apply(layer: nn.Module, x: Tensor, padding: Tensor | None) -> Tensor:
    return layer(x, padding) if isinstance(layer, TimeConv) else layer(x)
