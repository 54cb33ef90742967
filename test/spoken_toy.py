"""What a voice leaves behind, made of tones: for tests of those who score and show it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 8000
CONFIG = """
task: tts
featurizer: {sampling_rate: 8000, n_fft: 256, win_length: 256, hop_length: 80, num_mel_bins: 31, high_freq: 0}
model: {name: fastspeech2}
token_durations: DURATIONS
objectives: {mel: l1, log_duration: mse, pitch: mse, energy: mse}
pitch: {name: autocorrelation, min_f0: 75, max_f0: 600}
data: {root: data}
"""
TEXTS = ["low high", "high", "low low high", "high high"]


def voice(seconds: float, pitch: float = 150.0, seed: int = 0) -> np.ndarray:
    """(L,) a buzz of ten harmonics that glides up by a fifth, and noise at both ends."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * 1.5 ** (time / seconds)) / RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 11))
    loud = np.clip(np.minimum(time, seconds - time) / 0.05 - 1, 0, 1)
    noise = np.random.default_rng(seed).normal(0, 1e-3, len(time))
    return (0.15 * loud * buzz + noise).astype(np.float32)


def write_wav(path: Path, wav: np.ndarray) -> None:
    """32-bit floats, so that everything can be in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wav, RATE, subtype="FLOAT")


def write_voice(
    exp_dir: Path, name: str = "test", texts: list[str] = TEXTS, config: str = CONFIG, **changes: Any
) -> list[dict[str, Any]]:
    """An experiment with one spoken set: utterance i lasts 0.6 + 0.2 i seconds, and 0.1 s more where it is synthesised.

    The recording of each lies between two others in one file.

    Args:
        exp_dir: Its folder.
        name: Of the set.
        texts: One for each utterance.
        config: Of the experiment.
        changes: Fields of all rows that are to be otherwise.
    """
    folder = exp_dir / "synthesis" / name
    rows = []
    for i, text in enumerate(texts):
        seconds, id = 0.6 + 0.2 * i, f"{name}-{i}"
        around = [np.zeros(round(0.3 * RATE), np.float32), voice(seconds, seed=i), np.zeros(1000, np.float32)]
        write_wav(exp_dir / "recordings" / f"{id}.wav", np.concatenate(around))
        write_wav(folder / "vocoded" / f"{id}.wav", voice(seconds, seed=i + 50))
        write_wav(folder / "synthesised" / f"{id}.wav", voice(seconds + 0.1, 160.0, seed=i + 100))
        rows.append(_row(exp_dir, folder, id, text, seconds) | changes)
    _write_lines(folder / "utterances.jsonl", rows)
    total = sum(row["duration"] for row in rows)
    facts = {"set": name, "utterances": len(rows), "audio_seconds": total, "seconds": 0.25 * total, "rtf": 0.25}
    facts |= {"threads": 2, "device": "cpu", "parameters": 1_234_567, "vocoder": "griffin_lim", "vocoder_parameters": 0}
    facts |= {"model": "fastspeech2", "unfinished": sum(not row["finished"] for row in rows)}
    (folder / "synthesis.json").write_text(json.dumps(facts))
    durations = [{"id": row["id"], "durations": [n + 1 for n in row["token_frames"]]} for row in rows]
    _write_lines(exp_dir / "durations.jsonl", durations)
    (exp_dir / "config.yaml").write_text(config.replace("DURATIONS", str(exp_dir / "durations.jsonl")))
    return rows


def _row(exp_dir: Path, folder: Path, id: str, text: str, seconds: float) -> dict[str, Any]:
    tokens = list(text.replace(" ", "␣"))
    frames = round((seconds + 0.1) * 100)
    each = np.diff(np.linspace(0, frames, len(tokens) + 1).round()).astype(int).tolist()
    path = folder / "alignments" / f"{id}.npy"
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.repeat(np.eye(len(tokens)), each, axis=0).astype(np.float16))
    pitch = (160.0 * 1.5 ** np.linspace(0, 1, frames)).round(2).tolist()
    return {
        "id": id, "text": text, "speaker": "anna", "wav": f"synthesised/{id}.wav", "vocoded": f"vocoded/{id}.wav",
        "natural": {"path": str(exp_dir / "recordings" / f"{id}.wav"), "start": 0.3, "duration": seconds},
        "duration": seconds + 0.1, "seconds": 0.1, "finished": True, "tokens": tokens, "token_frames": each,
        "frame_shift": 0.01, "pitch": pitch, "alignment": f"alignments/{id}.npy",
    }  # fmt: skip


def rewrite(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Other lines for a set."""
    _write_lines(folder / "utterances.jsonl", rows)


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
