"""Training that starts from what another experiment has learned."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Config
from speechkit.utils import log
from speechkit.utils.model_dir import check_model_dir, load_weights


class InitConfig(Config):
    """Weights to start from."""

    model: str
    """Directory of a finished model; its averaged weights are taken where name and shape are the same."""
    only: list[str] = Field([], max_length=20)
    """Parts to take, by the beginning of their names, such as `encoder`; empty: all that fit. Output layers fit only if the
    tokens are the same."""


def read_initial(config: InitConfig) -> dict[str, Tensor]:
    """The weights that may be taken, by name.

    Raises:
        ValueError: There is no such model, or no such part in it.
    """
    try:
        check_model_dir(Path(config.model))
    except ValueError as error:
        raise ValueError(f"init.model: {error}") from None
    weights = load_weights(Path(config.model) / "averaged.safetensors")
    for part in config.only:
        if not any(_in_part(name, part) for name in weights):
            parts = ", ".join(sorted({name.split(".")[0] for name in weights}))
            raise ValueError(f"init.only: expected parts of {config.model}: {parts}; got {part!r}")
    return {name: value for name, value in weights.items() if not config.only or any(_in_part(name, p) for p in config.only)}


def start_from(network: nn.Module, config: InitConfig) -> None:
    """Copy what fits into ``network``, and say what was taken and what was not.

    Raises:
        ValueError: There is no such model or part, nothing fits, or a part that was asked for has another shape here.
    """
    weights, own = read_initial(config), network.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    misfits = [name for name in weights if name not in fitting]
    if misfits and (config.only or not fitting):
        raise ValueError(f"init.model: {config.model} does not fit: {_difference(misfits[0], weights, own)}")
    with torch.no_grad():
        for name, value in fitting.items():
            own[name].copy_(value)
    taken, total = (sum(each.numel() for each in group.values()) for group in (fitting, own))
    left = f"; not taken: {', '.join(sorted({_part(name) for name in misfits}))}" if misfits else ""
    log.info(f"started from {config.model}: {taken / 1e6:.2f} M of {total / 1e6:.2f} M numbers{left}")


def _in_part(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part.removesuffix('.')}.")


def _part(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _difference(name: str, weights: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    there = tuple(weights[name].shape)
    if name not in own:
        return f"{name} {there} is not in this network; take the parts that are, with init.only, or the same options"
    return f"{name}: expected {tuple(own[name].shape)}, got {there}; take the same options, or other parts with init.only"
