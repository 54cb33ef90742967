"""Scores of a voice: is it understood, how far is it from recordings of the same words, and does anything go wrong?

For every set that was spoken, ``scores.jsonl`` has each utterance's numbers and ``scores.json`` those of the set: sums
over utterances before dividing, with 95 % intervals by resampling utterances, as those of error rates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechkit.data.token_durations import read_token_durations
from speechkit.data.trim import trim
from speechkit.metrics.duration_error import duration_error
from speechkit.metrics.error_rate import bootstrap_interval
from speechkit.nn.attention_durations import coverage, diagonal_rate, focus_rate, monotonic_rate
from speechkit.tasks.base import load_config
from speechkit.tasks.hearing import error_counts, hear
from speechkit.tasks.recognizer import Recognizer
from speechkit.tasks.spoken_sets import SpokenSet, choose_spoken_sets
from speechkit.tasks.tts import TtsTask
from speechkit.tasks.voice_distance import VoiceMeter, compare
from speechkit.utils import machine
from speechkit.utils.files import atomic_write

FULL_SCALE = 0.9999  # of which 16 bits round to their greatest number
SILENCE = 1e-3  # peak, -60 dB of full scale
ROOTS = frozenset({"log_f0_rmse"})
ATTENTION = {"focus": focus_rate, "diagonal": diagonal_rate, "monotonic": monotonic_rate, "coverage": coverage}

Parts = dict[str, tuple[float, float]]
"""By measure a numerator and a denominator, which add up over utterances."""


def score_voice(
    exp_dir: Path, recognizer_dir: Path | None = None, sets: Sequence[str] = (), device: str = "cpu"
) -> list[SpokenSet]:
    """Score sets that a voice has spoken; writes ``scores.jsonl`` and ``scores.json``.

    Args:
        exp_dir: The experiment of a voice.
        recognizer_dir: Model directory of a recogniser; without one there are no error rates.
        sets: Names; all unless given.
        device: Where the recogniser runs: ``cpu``, ``cuda`` or ``auto``.

    Returns:
        The sets.

    Raises:
        ValueError: Nothing was spoken, a recording is missing, or the recogniser is none; the message says which.
    """
    config = load_config(exp_dir / "config.yaml", task="tts")
    chosen = choose_spoken_sets(exp_dir, sets)
    recognizer = None if recognizer_dir is None else Recognizer.load(recognizer_dir, device=device)
    for spoken in chosen:
        _score_set(spoken, config, recognizer, recognizer_dir)
    return chosen


def _score_set(spoken: SpokenSet, config: TtsTask.Config, recognizer: Recognizer | None, model_dir: Path | None) -> None:
    for stale in ("scores.json", "scores.jsonl"):
        (spoken.folder / stale).unlink(missing_ok=True)
    heard, rates, errors = _hear_all(spoken, recognizer)
    judge = Judge(spoken, config)
    rows, parts = [], []
    for row in spoken.rows:
        measured, flags = judge(row)
        hyps = {kind: found[row["id"]] for kind, found in heard.items() if row["id"] in found}
        ref = None if recognizer is None else recognizer.normalizer(row["text"])
        values = {name: value(name, *part) for name, part in measured.items()}
        rows.append({"id": row["id"], "ref": ref, "hyps": hyps, **errors.get(row["id"], {}), **values, **flags})
        parts.append(measured)
    totals = {"set": spoken.name, "utterances": len(rows), "recognizer": None if model_dir is None else str(model_dir)}
    totals |= {"rates": rates, "measures": _measures(parts), "problems": _problems(rows), "left_out": judge.left_out}
    totals |= {"date": machine.today(), "machine": machine.describe(), "command": machine.command()}
    with atomic_write(spoken.folder / "scores.jsonl") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with atomic_write(spoken.folder / "scores.json") as file:
        file.write(json.dumps(totals, indent=1, ensure_ascii=False) + "\n")


def _hear_all(spoken: SpokenSet, recognizer: Recognizer | None) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """By kind of speech what is heard and its error rates; by utterance those of the voice."""
    if recognizer is None:
        return {}, {}, {}
    heard = {kind: hear(recognizer, spoken, kind) for kind in spoken.kinds()}
    rates = {kind: error_counts(recognizer, spoken, found) for kind, found in heard.items()}
    return heard, {kind: totals for kind, (totals, _) in rates.items()}, rates["synthesised"][1]


class Judge:
    """Measures the utterances of a set.

    Recordings and what the vocoder makes of them are trimmed at their ends as those are that the voice has learned from;
    what the voice says stays as it is, for nobody will trim that.

    Args:
        spoken: The set.
        config: The experiment.
    """

    def __init__(self, spoken: SpokenSet, config: TtsTask.Config) -> None:
        self.spoken, self.config = spoken, config
        self.rate = config.featurizer.sampling_rate
        self.meter = VoiceMeter(self.rate, config.pitch)
        self.left_out: list[str] = []
        """What could not be measured at all, and why, for the reader of the numbers."""
        self.durations = self._token_durations(config.token_durations)

    def __call__(self, row: dict[str, Any]) -> tuple[Parts, dict[str, Any]]:
        """The measures of an utterance, and what is wrong with it."""
        wav = self.spoken.read(row, "synthesised", self.rate)
        finite = bool(np.isfinite(wav).all())
        peak = float(np.abs(wav).max(initial=0.0))
        flags = {"finite": finite, "silent": finite and peak < SILENCE, "finished": bool(row.get("finished", True))}
        parts = {"clipped": (float((np.abs(wav) >= FULL_SCALE).sum()), len(wav))}
        parts |= self._distances(row, wav, finite)
        return parts | self._tokens(row) | self._attention(row), flags

    def _distances(self, row: dict[str, Any], wav: np.ndarray, finite: bool) -> Parts:
        natural = self.spoken.read(row, "natural", self.rate)
        if natural is None:
            return {}
        if not len(natural) or not np.isfinite(natural).all():
            path = row["natural"]["path"]
            raise ValueError(f"utterance {row['id']}: expected finite samples in {path}, got others, or none; restore it")
        natural, vocoded = self._trimmed(natural), self.spoken.read(row, "vocoded", self.rate)
        seen, parts = self.meter.look(natural), {}
        if len(wav) and finite:
            distance, pitch = compare(seen, self.meter.look(wav))
            parts |= {"mcd": (distance, 1), "log_f0_rmse": (pitch.squares, pitch.num_voiced)}
            parts |= {"voicing_error": (pitch.voicing, pitch.num_frames)}
            parts |= {"gross_pitch_error": (pitch.gross, pitch.num_voiced)}
        if vocoded is not None and len(vocoded) and np.isfinite(vocoded).all():
            parts["vocoded_mcd"] = (compare(seen, self.meter.look(self._trimmed(vocoded)))[0], 1)
        parts["duration_error"] = (abs(len(wav) - len(natural)) / self.rate, 1)
        return parts | {"duration_ratio": (len(wav), len(natural))}

    def _trimmed(self, wav: np.ndarray) -> np.ndarray:
        return wav if self.config.trim is None else trim(wav, self.rate, self.config.trim)

    def _tokens(self, row: dict[str, Any]) -> Parts:
        """Durations of tokens, where those of the recording are known."""
        wanted, said = self.durations.get(row["id"]), row.get("token_frames")
        if wanted is None or said is None or len(wanted) != len(said):
            return {}
        error = duration_error(wanted, np.array(said), row["frame_shift"])
        return {"token_duration_error": (error.absolute, error.num_tokens)}

    def _token_durations(self, path: str | None) -> Any:
        if path is None:
            return {}
        if not Path(path).exists():
            self.left_out.append(f"durations of tokens: {path} is not there")
            return {}
        return read_token_durations(Path(path))

    def _attention(self, row: dict[str, Any]) -> Parts:
        weights = self.spoken.alignment(row)
        if weights is None or not weights.size:
            return {}
        lens = [torch.tensor([size]) for size in weights.shape]
        batch = torch.from_numpy(weights)[None, None]
        return {name: (float(rate(batch, *lens)), 1) for name, rate in ATTENTION.items()}


def value(name: str, numerator: float, denominator: float) -> float | None:
    """A measure of one utterance, or of the sums over several; None where there was nothing to measure."""
    if not denominator:
        return None
    ratio = numerator / denominator
    return ratio**0.5 if name in ROOTS else ratio


def _measures(parts: Sequence[Parts]) -> dict[str, Any]:
    """Of each measure its value over all utterances that have it, and the 95 % interval of that."""
    found = {}
    for name in dict.fromkeys(name for each in parts for name in each):
        counts = np.array([each[name] for each in parts if name in each], dtype=np.float64)
        total = value(name, *counts.sum(axis=0).tolist())
        if total is not None:
            interval = [value(name, border, 1) for border in bootstrap_interval(counts[:, 0], counts[:, 1])]
            found[name] = {"value": total, "interval": interval, "utterances": len(counts)}
    return found


def _problems(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many utterances are not as speech should be."""
    return {
        "not_finite": sum(not row["finite"] for row in rows),
        "silent": sum(row["silent"] for row in rows),
        "clipped": sum(bool(row["clipped"]) for row in rows),
        "unfinished": sum(not row["finished"] for row in rows),
    }
