"""Tasks: the only place that knows models, data, objectives and searches at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

VOICES = ("tts", "distill")
"""Tasks whose models speak texts."""


def load(path: Path | str, device: str = "cpu", search: Any = None, vocoder: str | Path | None = None) -> Any:
    """Load a trained model directory for use.

    Args:
        path: An experiment folder after ``speechkit average``, or a copy of its model files.
        device: ``cpu``, ``cuda`` or ``auto``.
        search: For a recogniser, a search config to use instead of the one that the model was saved with.
        vocoder: For a voice, what makes waveforms, instead of what it was saved with: ``griffin_lim``, or the model
            directory of a trained vocoder.

    Returns:
        For a recogniser, a :class:`speechkit.tasks.recognizer.Recognizer`: ``load(path).transcribe("a.wav").text``. For a
        voice, a :class:`speechkit.tasks.synthesizer.Synthesizer`: ``load(path).synthesize("Hello.").save("a.wav")``.

    Raises:
        ValueError: A file of the model is missing or was altered, or it is a model for neither.
    """
    from speechkit.tasks.recognizer import Recognizer
    from speechkit.tasks.synthesizer import Synthesizer

    task = _task(Path(path))
    if task == "vocoder":
        raise ValueError(
            f"{path}: a vocoder says no text; load a voice with it: speechkit.load(voice, vocoder={str(path)!r})"
        )
    speaks = task in VOICES
    given, reason = ("search", search) if speaks else ("vocoder", vocoder)
    if reason is not None:
        raise ValueError(f"{given}: expected none for {path}, which is of task {task}, got {reason}")
    if speaks:
        return Synthesizer.load(Path(path), device=device, vocoder=vocoder)
    return Recognizer.load(Path(path), device=device, search=search)


def _task(model_dir: Path) -> str:
    """The task of a model directory; "asr" where there is no config that would say."""
    from speechkit.config import read_yaml

    path = model_dir / "config.yaml"
    return read_yaml(path).get("task", "asr") if path.is_file() else "asr"
