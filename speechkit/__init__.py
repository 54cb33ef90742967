"""speechkit: recipes that take a folder of recordings to a recogniser or a voice."""

from __future__ import annotations

__version__ = "0.1.0"


def load(path, device: str = "cpu", vocoder=None):
    """Load a trained recogniser or voice; see :func:`speechkit.tasks.load`."""
    from speechkit import tasks  # imported here: `import speechkit` must not import torch

    return tasks.load(path, device=device, vocoder=vocoder)
