"""Experiments of voices that were scored, without anybody listening: for tests of reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spoken_toy import write_voice

from speechkit.metrics.error_rate import score

HEARD = ["low high", "low", "low low high", "hi high high"]


def write_scored(exp_dir: Path, name: str = "test", heard: list[str] | None = HEARD, **changes: Any) -> list[dict[str, Any]]:
    """A spoken set with scores: utterance i has a distortion of 4 + i dB; natural speech is heard without errors.

    Args:
        exp_dir: The experiment.
        name: Of the set.
        heard: What the recogniser heard of the voice; None without one.
        changes: Fields of all rows of the set that are to be otherwise.
    """
    rows = write_voice(exp_dir, name, **changes)
    folder = exp_dir / "synthesis" / name
    scores = [_scores(row, i, heard) for i, row in enumerate(rows)]
    (folder / "scores.jsonl").write_text("".join(json.dumps(each) + "\n" for each in scores))
    measures = {"mcd": (5.5, 4.5, 6.5), "vocoded_mcd": (1.25, 1.0, 1.5), "duration_ratio": (1.02, 0.98, 1.06)}
    found = {key: {"value": value, "interval": borders, "utterances": 4} for key, (value, *borders) in measures.items()}
    problems = {"not_finite": 0, "silent": 0, "clipped": 2, "unfinished": 0}
    totals = {"set": name, "utterances": len(rows), "recognizer": None if heard is None else "exp/ctc", "rates": {}}
    totals |= {"measures": found, "problems": problems, "left_out": [], "date": "2026-03-06", "machine": "An Engine"}
    totals["command"] = "speechkit score x"
    if heard is not None:
        totals["rates"] = {kind: _rates(scores, kind) for kind in ("natural", "synthesised")}
    (folder / "scores.json").write_text(json.dumps(totals))
    return rows


def _scores(row: dict[str, Any], i: int, heard: list[str] | None) -> dict[str, Any]:
    flags = {"finite": True, "silent": False, "finished": True, "clipped": 0.25 if i > 1 else 0.0}
    scores = {"id": row["id"], "ref": None, "hyps": {}, "mcd": 4.0 + i, "duration_ratio": 1.02, **flags}
    if heard is None:
        return scores
    texts = {"natural": row["text"], "synthesised": heard[i]}
    hyps = {kind: {"text": text, "words": _words(text)} for kind, text in texts.items()}
    [errors] = score([(row["id"], row["text"], heard[i])], "char").utterances
    return scores | {"ref": row["text"], "hyps": hyps, "wer": 0.5, "cer": errors.errors / errors.ref_len}


def _words(text: str) -> list[dict[str, Any]]:
    return [
        {"word": word, "start": 0.2 * i, "end": 0.2 * i + 0.1, "confidence": 0.5} for i, word in enumerate(text.split())
    ]


def _rates(scores: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    pairs = [(row["id"], row["ref"], row["hyps"][kind]["text"]) for row in scores]
    return {name: score(pairs, unit).total.to_dict() for name, unit in (("wer", "word"), ("cer", "char"))}
