"""Small experiment folders for tests of reports."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from speechkit.metrics.error_rate import score

RATE = 8000
VOID = {"meta", "br", "hr", "img", "input", "link"}
UTTERANCES = [  # id, reference, hypothesis: 2 substitutions, 1 insertion, 2 deletions in 14 words
    ("a-1", "one two three", "one two three"),
    ("a-2", "four five six seven", "four nine six"),
    ("b-1", "eight nine", "eight one nine"),
    ("b-2", "one two three four five", "one too three four"),
]


def write_training(exp_dir: Path, num_steps: int = 170, end: bool = True) -> list[dict[str, Any]]:
    """A ``train.jsonl`` with a validation every 50 steps, a skip at 60 and a resume that repeats steps 101 to 110."""
    rows: list[dict[str, Any]] = [_event("start", 0, total_steps=num_steps, parameters=1_234_567)]
    for step in [*range(1, 111), *range(101, num_steps + 1)]:
        if step == 101 and rows[-1]["step"] == 110:
            rows.append(_event("resume", 100, total_steps=num_steps))
        loss: Any = 50.0 / step + 1.0
        if step == 60:
            rows.append(_event("skip", step, reason="the gradient norm of model is nan", cuts=["a-1", "b-2"]))
            loss = "nan"
        values = {
            "loss": loss,
            "losses": {"ctc": loss},
            "grad_norm": 2.0 if loss != "nan" else "nan",
            "lr": 1e-3 / step,
        }
        sizes = {"utterances": 8, "audio_seconds": 30.0, "padding": 0.02, "seconds": 0.5, "waited": 0.1}
        rows.append(_event("step", step, **values, **sizes))
        if step % 50 == 0:
            rows.append(_event("valid", step, loss=60.0 / step + 1.5, wer=900.0 / step, cer=450.0 / step, seconds=2.0))
    rows += [_event("end", num_steps, peak_memory=1.25)] if end else []
    exp_dir.mkdir(parents=True, exist_ok=True)
    (exp_dir / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows


def _event(event: str, step: int, **values: Any) -> dict[str, Any]:
    return {"event": event, "step": step, "epoch": (step - 1) // 50, "time": "2026-03-04T05:06:07+00:00", **values}


def hyp_row(audio_dir: Path, name: str, ref: str, hyp: str, seconds: float = 0.5) -> dict[str, Any]:
    """One row of ``hyps.jsonl`` with its recording."""
    path = audio_dir / f"{len(list(audio_dir.iterdir()))}.wav"
    soundfile.write(path, 0.3 * np.sin(np.arange(int(seconds * RATE)) * 0.3), RATE)
    words = [
        {"word": word, "start": 0.1 * i, "end": 0.1 * i + 0.08, "confidence": 0.9 - 0.1 * i}
        for i, word in enumerate(hyp.split())
    ]
    nbest = [{"text": hyp, "score": -1.25}, {"text": f"{hyp} more", "score": -7.5}]
    audio = {"path": str(path), "start": 0.0, "duration": seconds}
    return {"id": name, "ref": ref, "hyp": hyp, "duration": seconds, "audio": audio, "words": words, "nbest": nbest}


def write_set(
    exp_dir: Path, name: str = "test", utterances: Any = UTTERANCES, scored: bool = True
) -> list[dict[str, Any]]:
    """A folder ``decode/<name>``; utterance i lasts 0.5 + 0.25 i seconds."""
    folder = exp_dir / "decode" / name
    (exp_dir / "audio").mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [hyp_row(exp_dir / "audio", *each, seconds=0.5 + 0.25 * i) for i, each in enumerate(utterances)]
    (folder / "hyps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    facts = {"set": name, "search": {"name": "ctc_prefix_beam", "beam_size": 8}, "seconds": 0.1, "audio_seconds": 3.5}
    facts |= {
        "rtf": 0.0317,
        "threads": 3,
        "date": "2026-03-05",
        "machine": "An Engine, 4 cores",
        "command": "speechkit decode x",
    }
    (folder / "decode.json").write_text(json.dumps(facts), encoding="utf-8")
    if scored:
        for unit, file in (("word", "wer.json"), ("char", "cer.json")):
            total = score([(row["id"], row["ref"], row["hyp"]) for row in rows], unit).total
            (folder / file).write_text(json.dumps(total.to_dict()), encoding="utf-8")
    return rows


class Page(HTMLParser):
    """A page taken apart: every element in order, with its attributes and the text inside. Unbalanced tags fail."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(markup)
        self.close()
        assert not self.open, f"never closed: {[tag for tag, _, _ in self.open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute of {tag} is there twice"
        element = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for _, _, texts in self.open:
            texts.append(data)

    def find(self, tag: str, **wanted: str) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and text of all elements of a kind; ``class_="x"`` means that x is among the classes."""
        found = [(attrs, "".join(texts)) for name, attrs, texts in self.elements if name == tag]
        for key, value in wanted.items():
            found = [e for e in found if value in (e[0].get(key.rstrip("_").replace("_", "-")) or "").split()]
        return found

    def texts(self, tag: str, **wanted: str) -> list[str]:
        """Text of all elements of a kind."""
        return [text for _, text in self.find(tag, **wanted)]
