"""Frames of each token, as something that aligns has written them: lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from speechkit.utils.files import atomic_write


def write_token_durations(durations: Iterable[tuple[str, Sequence[int]]], path: Path) -> None:
    """Write ``(cut id, frames of each token)`` as lines ``{"id": "a", "durations": [3, 0, 7]}``."""
    with atomic_write(path) as file:
        for cut_id, frames in durations:
            file.write(json.dumps({"id": cut_id, "durations": [int(each) for each in frames]}, ensure_ascii=False) + "\n")


def read_token_durations(path: Path) -> Mapping[str, np.ndarray]:
    """By cut id, frames of each token (U,) int32.

    Raises:
        ValueError: The file is missing, or a line is not as :func:`write_token_durations` writes it.
    """
    found: dict[str, np.ndarray] = {}
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                cut_id, frames = _parse(line, f"{path}:{number}")
                found[cut_id] = frames
    except FileNotFoundError:
        raise ValueError(f"{path}: expected the durations of tokens, found no such file; align first") from None
    return found


def _parse(line: str, where: str) -> tuple[str, np.ndarray]:
    try:
        row = json.loads(line)
        frames = np.array(row["durations"])
        if frames.ndim == 1 and frames.dtype.kind == "i" and (frames >= 0).all() and isinstance(row["id"], str):
            return row["id"], frames.astype(np.int32)
    except (ValueError, KeyError, TypeError):
        pass
    example = '{"id": "a", "durations": [3, 0, 7]}'
    raise ValueError(f"{where}: expected a line like {example}, got {line.strip()[:60]!r}; align again")
