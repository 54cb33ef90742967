"""What takes long to compute of each recording, kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from lhotse.cut import Cut

from speechkit.utils.files import atomic_path


class FrameCache:
    """Values of each frame of a cut, such as its pitch: computed once, then read.

    Files are named after the cut's id and its samples, so that those of another recording, or of one that is trimmed
    otherwise, are never read. Any number of processes may share a folder.

    Args:
        compute: Samples (L,) float32 to values (T,).
        folder: Where files lie; its name has to say everything that ``compute`` depends on beside the samples.
    """

    def __init__(self, compute: Callable[[np.ndarray], np.ndarray], folder: Path) -> None:
        self.compute, self.folder = compute, folder

    def __call__(self, cut: Cut, wav: np.ndarray) -> np.ndarray:
        """The values (T,) float32 of a cut with the samples ``wav`` (L,).

        Raises:
            ValueError: They are not finite.
        """
        path = self.path(cut, wav)
        values = _read(path)
        if values is None:
            values = np.asarray(self.compute(wav), dtype=np.float32)
            if values.ndim != 1 or not np.isfinite(values).all():
                raise ValueError(f"cut {cut.id}: expected finite values (T,) of its frames, got others; look at its audio")
            with atomic_path(path) as partial:
                np.save(partial, values)
        return values

    def path(self, cut: Cut, wav: np.ndarray) -> Path:
        """Where the values of a cut lie; few files are in the same folder."""
        key = hashlib.blake2b(f"{cut.id}\0".encode(), digest_size=12)
        key.update(np.ascontiguousarray(wav))
        name = key.hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.npy"


def _read(path: Path) -> np.ndarray | None:
    """None where there is no file, or a damaged one, which is then written again."""
    try:
        return np.load(path, allow_pickle=False)
    except (FileNotFoundError, EOFError, ValueError):
        return None
