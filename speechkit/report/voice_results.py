"""The page's table of voices, and the card of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from speechkit.report.html import Html, h, join, table
from speechkit.report.numbers import percent, plural
from speechkit.report.voices import (
    ScoredVoice,
    kinds_of,
    measure_cells,
    rate_cells,
    shown_measures,
    size_of,
    speed_of,
    vocoder_of,
)
from speechkit.tasks.spoken_sets import KINDS

LEGEND = {
    "WER %": "errors of the recogniser that listened; on natural and vocoded speech what a voice can hope for",
    "MCD dB": "mel-cepstral distortion from the recording along the best path: 24 coefficients of 80 mel bins",
    "log F0 RMSE": "along the same path, over frames voiced in both",
    "voicing %": "frames voiced in only one",
    "duration s": "mean difference of the lengths of utterances",
    "length %": "length of all speech against that of all recordings",
    "token ms": "mean difference of the durations of tokens",
    "clipped %": "samples at full scale",
    "focus": "how sure each step of the attention is",
    "diagonal": "attention near the diagonal",
    "monotonic": "steps that stay or go on by one token",
    "coverage": "tokens attended to",
    "problems": "utterances that are not as speech should be",
    "RTF": "seconds of work per second of speech",
}
FACTS = ("problems", "parameters", "vocoder", "RTF")


def voice_results(voices: Sequence[tuple[str, ScoredVoice]], several: bool) -> Html:
    """A table with a column for each kind of speech of each set, so that voices stand side by side.

    Args:
        voices: Names of experiments, and what they have spoken.
        several: Whether columns have to say which experiment they are of.
    """
    shown = list(_columns(voices))
    columns = shown_measures([each for _, each in voices])
    rates = ["WER %", "CER %"] if any(each.recognizer for _, each in voices) else []
    head = ["", *(_title(name if several else None, each, kind) for name, each, kind in shown)]
    names = [*rates, *columns, *FACTS]
    values = [_column(each, kind, columns, bool(rates)) for _, each, kind in shown]
    rows = [[_name(name), *cells] for name, *cells in zip(names, *values, strict=True)]
    body = table(head, rows, range(1, len(head)), "Results of voices")
    heard = dict.fromkeys(f"{each.name}: {each.recognizer or 'no recogniser listened'}" for _, each in voices)
    note = f"Recogniser of {'; '.join(heard)}. Beside a value its 95 % interval, a bootstrap over utterances."
    return h("section", h("h2", "Voices"), body, h("p", note, class_="note"), id="voices")


def _columns(voices: Sequence[tuple[str, ScoredVoice]]) -> Iterator[tuple[str, ScoredVoice, str]]:
    """By set and kind of speech; what is the same for all voices, such as the recordings that one recogniser heard, once."""
    for name in dict.fromkeys(each.name for _, each in voices):
        for kind in reversed(KINDS):  # what matters most stands beside the names, where screens are narrow
            seen = []
            for whose, each in voices:
                numbers = (each.recognizer, rate_cells(each, kind), measure_cells(each, kind, ["MCD dB"]))
                if each.name == name and kind in kinds_of(each) and (kind != "natural" or numbers not in seen):
                    seen.append(numbers)
                    yield whose, each, kind


def _title(name: str | None, each: ScoredVoice, kind: str) -> Html:
    whose = join([part for part in (name if kind != "natural" else None, each.name) if part], ", ")
    return join([kind, h("br"), h("span", whose, class_="soft")])


def _name(measure: str) -> Html:
    legend = h("span", LEGEND[measure], class_="soft meaning") if measure in LEGEND else None
    return h("th", measure, legend, scope="row")


def _column(each: ScoredVoice, kind: str, columns: Sequence[str], rates: bool) -> list[Any]:
    values = (rate_cells(each, kind) if rates else []) + measure_cells(each, kind, columns)
    cells = [_with_interval(*pair) for pair in zip(values[::2], values[1::2], strict=True)]
    if kind != "synthesised":
        return [*cells, "", "", vocoder_of(each) if kind == "vocoded" else "", ""]
    problems = h("span", ", ".join(each.problems()) or "none", class_="wrap")
    return [*cells, problems, size_of(each), vocoder_of(each), speed_of(each)]


def _with_interval(value: str, interval: str) -> Html:
    if value == "–":
        return h("span", value, class_="soft")
    return join([h("b", value), None if interval == "–" else h("span", interval, class_="soft between")])


def voice_card(each: ScoredVoice, title: str) -> Html:
    """The number that tells most about a set."""
    wer, mcd = each.rate("synthesised", "wer"), each.measure("mcd")
    name, big = ("% WER", wer and percent(wer["rate"])) if wer else ("dB MCD", f"{mcd['value']:.2f}" if mcd else "–")
    natural = each.rate("natural", "wer")
    lines = [f"natural speech {percent(natural['rate'])} %"] if natural else []
    lines += [f"MCD {mcd['value']:.2f} dB"] if wer and mcd else []
    counted = f"{plural(len(each.spoken.rows), 'utterance')}, {', '.join(each.problems()) or 'nothing wrong with any'}"
    return h(
        "article",
        h("h2", title),
        h("div", big, h("small", name), class_="big"),
        [h("p", line) for line in (*lines, counted)],
        class_="card",
    )
