"""Activation functions by name."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

Activation = Literal["swish", "relu", "gelu"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"swish": nn.SiLU, "relu": nn.ReLU, "gelu": nn.GELU}


def make_activation(name: Activation) -> nn.Module:
    """The activation module called ``name``.

    Raises:
        ValueError: an unknown name.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(get_args(Activation))}, got {name!r}; choose one of them")
    return _ACTIVATIONS[name]()
