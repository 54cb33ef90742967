"""What scoring left of the sets that a voice has spoken, and the numbers of it that tables show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from speechkit.metrics.error_rate import ScoreReport, Unit, score
from speechkit.report.numbers import percent
from speechkit.tasks.spoken_sets import KINDS, SpokenSet, find_spoken_sets, parse, read_rows
from speechkit.text.scripts import has_ideograph

SCORE_AGAIN = "score the set again"
MEASURES = {  # by column what it is called in scores.json, and how its values are written
    "MCD dB": ("mcd", "{:.2f}", 1),
    "log F0 RMSE": ("log_f0_rmse", "{:.3f}", 1),
    "voicing %": ("voicing_error", "{:.2f}", 100),
    "duration s": ("duration_error", "{:.3f}", 1),
    "length %": ("duration_ratio", "{:.1f}", 100),
    "token ms": ("token_duration_error", "{:.1f}", 1000),
    "clipped %": ("clipped", "{:.3f}", 100),
    "focus": ("focus", "{:.2f}", 1),
    "diagonal": ("diagonal", "{:.2f}", 1),
    "monotonic": ("monotonic", "{:.2f}", 1),
    "coverage": ("coverage", "{:.2f}", 1),
}
PROBLEMS = {"not_finite": "not finite", "silent": "silent", "clipped": "clipped", "unfinished": "unfinished"}


@dataclass(frozen=True)
class ScoredVoice:
    """One folder ``synthesis/<set>`` with its scores."""

    spoken: SpokenSet
    totals: dict[str, Any] = field(repr=False)
    """Of ``scores.json``; empty if the set was not scored."""
    scores: dict[str, dict[str, Any]] = field(repr=False)
    """Of ``scores.jsonl``, by utterance."""

    @property
    def name(self) -> str:
        """The set's name."""
        return self.spoken.name

    @property
    def facts(self) -> dict[str, Any]:
        """Of ``synthesis.json``."""
        return self.spoken.facts

    @property
    def recognizer(self) -> str | None:
        """The model directory of the recogniser that listened."""
        return self.totals.get("recognizer")

    @property
    def kinds(self) -> list[str]:
        """Which kinds of speech there are: natural, vocoded, synthesised."""
        return self.spoken.kinds()

    @cached_property
    def unit(self) -> Unit:
        """What errors are counted in: ``char`` where most texts are written without spaces between words."""
        rows = self.spoken.rows
        return "char" if 2 * sum(has_ideograph(row["text"]) for row in rows) > len(rows) else "word"

    def rate(self, kind: str, name: str) -> dict[str, Any] | None:
        """``wer`` or ``cer`` of a kind of speech as ``scores.json`` has it, or None."""
        return self.totals.get("rates", {}).get(kind, {}).get(name)

    def measure(self, name: str) -> dict[str, Any] | None:
        """Value and interval of a measure, or None."""
        return self.totals.get("measures", {}).get(name)

    def problems(self) -> list[str]:
        """How many utterances are clipped, silent, unfinished or not finite, in words; nothing for none."""
        counts = self.totals.get("problems") or {"unfinished": self.facts.get("unfinished", 0)}
        return [f"{counts[key]} {name}" for key, name in PROBLEMS.items() if counts.get(key)]

    def errors(self, kind: str, ids: Sequence[str]) -> ScoreReport | None:
        """What the recogniser heard in some utterances, aligned with what it should have; None if it did not listen."""
        pairs = [
            (id, self.scores[id]["ref"], self.scores[id]["hyps"][kind]["text"])
            for id in ids
            if kind in self.scores.get(id, {}).get("hyps", {})
        ]
        return score(pairs, self.unit) if pairs else None


def read_voices(exp_dir: Path) -> list[ScoredVoice]:
    """Every set that an experiment has spoken, with its scores if there are any.

    Raises:
        ValueError: A file is damaged; the message names it, and the line.
    """
    return [_with_scores(spoken) for spoken in find_spoken_sets(exp_dir)]


def _with_scores(spoken: SpokenSet) -> ScoredVoice:
    totals, rows = spoken.folder / "scores.json", spoken.folder / "scores.jsonl"
    if not totals.exists() or not rows.exists():
        return ScoredVoice(spoken, {}, {})
    fields = {"rates": dict, "measures": dict, "problems": dict}
    scores = {row["id"]: row for row in read_rows(rows, SCORE_AGAIN, {"id": str, "hyps": dict})}
    return ScoredVoice(spoken, parse(totals.read_bytes(), str(totals), SCORE_AGAIN, fields), scores)


# --- cells of tables: a row for each kind of speech -----------------------------------------------------------------


def rate_cells(each: ScoredVoice, kind: str) -> list[str]:
    """Of a kind of speech WER and CER in per cent, each with its 95 % interval; dashes where nobody listened."""
    return [cell for name in ("wer", "cer") for cell in _rate_cells(each.rate(kind, name))]


def _rate_cells(rate: dict[str, Any] | None) -> list[str]:
    return ["–", "–"] if rate is None else [percent(rate["rate"]), "–".join(map(percent, rate["interval"]))]


def measure_cells(each: ScoredVoice, kind: str, columns: Sequence[str]) -> list[str]:
    """The measures of a kind of speech, each with its interval behind it; of vocoded speech only its distortion."""
    found = []
    for column in columns:
        name, form, scale = MEASURES[column]
        names = {"synthesised": name, "vocoded": "vocoded_mcd" if name == "mcd" else None}
        measure = each.measure(names[kind]) if names.get(kind) else None
        borders = [] if measure is None else [form.format(scale * border) for border in measure["interval"]]
        found += ["–", "–"] if measure is None else [form.format(scale * measure["value"]), "–".join(borders)]
    return found


def shown_measures(voices: Sequence[ScoredVoice]) -> list[str]:
    """The columns of which any of the voices has a value."""
    return [column for column, (name, *_) in MEASURES.items() if any(each.measure(name) for each in voices)]


def kinds_of(each: ScoredVoice) -> list[str]:
    """The rows of a set in a table: natural and vocoded speech only where they have numbers."""
    has = {"natural": bool(each.rate("natural", "wer")), "synthesised": True}
    has["vocoded"] = bool(each.rate("vocoded", "wer") or each.measure("vocoded_mcd"))
    return [kind for kind in KINDS if has[kind]]


def size_of(each: ScoredVoice) -> str:
    """Parameters of the voice, and of its vocoder if that has any."""
    sizes = [each.facts.get(key) for key in ("parameters", "vocoder_parameters")]
    return " + ".join(f"{size / 1e6:.2f} M" for size in sizes if size) or "–"


def speed_of(each: ScoredVoice) -> str:
    """Seconds of work per second of speech, or a dash."""
    rtf = each.facts.get("rtf")
    return f"{rtf:.4f}" if isinstance(rtf, (int, float)) else "–"


def vocoder_of(each: ScoredVoice) -> str:
    """The vocoder's name or folder, or a dash for voices without one."""
    return str(each.facts.get("vocoder") or "–")
