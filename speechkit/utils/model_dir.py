"""The files of a finished model: what they are, checksums that tell if one was altered, weights that are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file
from torch import Tensor

from speechkit.utils.files import atomic_write, sha256

MODEL_FILES = ("config.yaml", "averaged.safetensors", "tokenizer", "objectives", "speakers.json")
# Not graph/: it has checksums of its own, and another one may take its place when the model is finished.


def write_checksums(model_dir: Path) -> None:
    """Record what the files of a finished model are, so that loading can tell if one was altered."""
    sums = {str(path.relative_to(model_dir)): sha256(path) for path in _model_files(model_dir)}
    with atomic_write(model_dir / "checksums.json") as file:
        json.dump(sums, file, indent=1)


def check_model_dir(model_dir: Path) -> None:
    """Compare a model directory with its checksums.

    Raises:
        ValueError: It is no model directory, or a file is missing or was altered.
    """
    if not model_dir.is_dir():
        raise ValueError(f"{model_dir}: expected a model directory, found {'a file' if model_dir.exists() else 'nothing'}")
    path = model_dir / "checksums.json"
    if not path.exists():
        raise ValueError(f"{model_dir}: no checksums.json, so no finished model; run `speechkit average {model_dir}` first")
    for name, expected in read_json(path).items():
        file = model_dir / name
        if not file.exists():
            raise ValueError(f"{file}: missing from the model; copy the whole directory again")
        if sha256(file) != expected:
            raise ValueError(f"{file}: altered since the model was made; restore it, or run `speechkit average` again")


def _model_files(model_dir: Path) -> list[Path]:
    named = [model_dir / name for name in MODEL_FILES]
    return [p for each in named for p in (sorted(each.rglob("*")) if each.is_dir() else [each]) if p.is_file()]


def read_json(path: Path) -> Any:
    """A file of an experiment or model directory; one that is missing or damaged is named."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: missing from the experiment; restore it, or train again") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); restore it, or run `speechkit average` again") from None


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read safetensors weights.

    Raises:
        ValueError: The file is missing or damaged.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; `speechkit average {path.parent}` makes it after training") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path}: damaged weights ({error}); make them again or restore the file") from None
