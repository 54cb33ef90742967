"""Tasks: the only place that knows models, data, objectives and searches at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load(path: Path | str, device: str = "cpu", search: Any = None) -> Any:
    """Load a trained model directory for use.

    Args:
        path: An experiment folder after ``speechkit average``, or a copy of its model files.
        device: ``cpu``, ``cuda`` or ``auto``.
        search: A search config to use instead of the one that the model was saved with.

    Returns:
        For a recogniser, a :class:`speechkit.tasks.recognizer.Recognizer`: ``load(path).transcribe("a.wav").text``.

    Raises:
        ValueError: A file of the model is missing or was altered.
    """
    from speechkit.tasks.recognizer import Recognizer

    return Recognizer.load(Path(path), device=device, search=search)
