"""Checkpoints that are whole or absent, and the average of several networks' weights."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from speechkit.utils.files import atomic_path
from speechkit.utils.model_dir import load_weights


def save(state: dict[str, Any], path: Path) -> None:
    """Write a training state under a temporary name, flush it to the disk, then rename it."""
    with atomic_path(path) as partial:
        torch.save(state, partial)


def load(path: Path) -> dict[str, Any]:
    """Read a training state; never runs code from the file.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError) as error:
        reason = (str(error) or "empty file").splitlines()[0]
        raise ValueError(f"{path}: damaged checkpoint ({reason}); delete it to go on from the one before") from None


def steps(folder: Path, suffix: str) -> list[tuple[int, Path]]:
    """The ``step-N<suffix>`` files of a folder, oldest first."""
    found = [(re.fullmatch(r"step-(\d+)", path.name.removesuffix(suffix)), path) for path in folder.glob(f"step-*{suffix}")]
    return sorted((int(match[1]), path) for match, path in found if match)


def keep_newest(folder: Path, suffix: str, count: int) -> None:
    """Delete all but the newest ``count`` of ``step-N<suffix>``."""
    for _, path in steps(folder, suffix)[:-count]:
        path.unlink()


def save_weights(weights: dict[str, Tensor], path: Path, metadata: dict[str, Any]) -> None:
    """Write a network's weights as safetensors, with JSON ``metadata`` in the header."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with atomic_path(path) as partial:
        save_file(contiguous, partial, metadata={"speechkit": json.dumps(metadata)})


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata that :func:`save_weights` wrote."""
    with safetensors.safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["speechkit"])


def average(paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of several weight files in double precision; counters are taken from the last file."""
    total: dict[str, Tensor] = {}
    for path in paths:
        for name, tensor in load_weights(path).items():
            floating = tensor.is_floating_point()
            total[name] = total.get(name, 0) + tensor.double() if floating else tensor
    last = load_weights(paths[-1])
    return {name: (t / len(paths)).to(last[name].dtype) if last[name].is_floating_point() else t for name, t in total.items()}
