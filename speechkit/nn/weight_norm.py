"""Weight normalisation of all convolutions of a network, and its removal."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)


def add_weight_norm(network: nn.Module) -> None:
    """Give every convolution in ``network`` a weight ``g v / |v|`` (Salimans and Kingma, 2016, arXiv:1602.07868, eq. 2).

    There is a length g for each slice of the weight along its first axis. Nothing but the parametrisation changes: the
    weights keep their values. Convolutions whose weight has a parametrisation already are left as they are.
    """
    for module in list(network.modules()):
        if isinstance(module, CONVOLUTIONS) and not parametrize.is_parametrized(module, "weight"):
            weight_norm(module)


def remove_weight_norm(network: nn.Module) -> None:
    """Make plain weights of the parametrised ones in ``network``, for speaking: the output stays, its cost shrinks."""
    for module in list(network.modules()):
        if isinstance(module, CONVOLUTIONS) and parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
