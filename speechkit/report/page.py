"""``report.html``: one page about an experiment that needs nothing but itself. Curves, results, errors one can hear."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import speechkit
from speechkit.config import ConfigError, read_yaml
from speechkit.metrics.error_rate import ErrorRate
from speechkit.report.clips import ClipBudget
from speechkit.report.html import Html, details, h, join, table
from speechkit.report.numbers import percent, plural, thousands
from speechkit.report.progress import ERROR_RATES, moment, training_section
from speechkit.report.results import DecodedSet, read_sets
from speechkit.report.table import interval, real_time_factor
from speechkit.report.train_log import TrainLog, read_train_log
from speechkit.report.utterances import set_section
from speechkit.utils.files import atomic_write

AUDIO_BYTES = 2_500_000  # of base64 text, over all sets
NUM_WORST = 24  # utterances, over all sets
MIN_WORST = 6  # utterances, per set
GUIDE_WIDTH = 112  # pixels of the drawing of an interval

_YAML_KEY = re.compile(r"^(\s*(?:- )*)([\w.-]+:)(.*)$")


def write_report(exp_dir: Path) -> Path:
    """Write ``report.html`` about whatever an experiment holds so far: training, decoded sets, or both.

    Args:
        exp_dir: The experiment's folder.

    Returns:
        The path of the page.

    Raises:
        ValueError: There is nothing to report, or a result file is corrupt; the message names it.
    """
    exp_dir = Path(exp_dir)
    log, sets = read_train_log(exp_dir / "train.jsonl"), read_sets(exp_dir)
    if not log and not sets:
        found = "no such folder" if not exp_dir.is_dir() else "neither"
        raise ValueError(
            f"{exp_dir}: expected train.jsonl or decode/<set>/hyps.jsonl to report on, got {found}; "
            f"run `speechkit train CONFIG --exp {exp_dir}` first"
        )
    path = exp_dir / "report.html"
    with atomic_write(path) as file:
        file.write("<!doctype html>\n" + render(exp_dir, log, sets) + "\n")
    return path


def render(exp_dir: Path, log: TrainLog, sets: Sequence[DecodedSet]) -> Html:
    """The page as markup."""
    name = exp_dir.resolve().name
    config = exp_dir / "config.yaml"
    parts = [
        _results(sets),
        training_section(log),
        list(_set_sections(sets)),
        _config(config) if config.exists() else None,
        _provenance(log, sets),
    ]
    written = f"Written by speechkit {speechkit.__version__} on {date.today().isoformat()}. "
    body = [
        h("a", "Skip to the content", href="#main", class_="skip"),
        h("header", h("div", _headline(name, config, log, sets), _notes(exp_dir, log, sets), _cards(log, sets))),
        _navigation(sets, config.exists()),
        h("main", parts, id="main"),
        h("footer", written, "This page is one file; it loads nothing from elsewhere."),
        h("script", Html(_resource("page.js"))),
    ]
    return h("html", _head(name), h("body", body), lang="en")


def _head(name: str) -> Html:
    """Title, style, and a policy under which the page's own script runs and nothing else, even if markup slipped in."""
    digest = base64.b64encode(hashlib.sha256(_resource("page.js").encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; media-src data:"
    return h(
        "head",
        h("meta", charset="utf-8"),
        h("meta", http_equiv="Content-Security-Policy", content=policy),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("meta", name="color-scheme", content="light dark"),
        h("title", f"{name}: speechkit report"),
        h("style", Html(_resource("page.css"))),
    )


def _resource(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


# --- top of the page ----------------------------------------------------------------------------------------------


def _headline(name: str, config: Path, log: TrainLog, sets: Sequence[DecodedSet]) -> Html:
    dates = [str(each.facts["date"]) for each in sets if each.facts.get("date")]
    when = max(dates, default=str(log.last.get("time", ""))[:10])
    return join([h("h1", name), h("p", join([*_model(config), when], " · "))])


def _model(config: Path) -> Iterator[str]:
    """The words that tell an experiment from others: task, corpus, encoder, objectives."""
    try:
        values = read_yaml(config) if config.exists() else {}
    except ConfigError:  # the page shows the text as it is
        return
    for key in ("task", "corpus", "encoder", "objectives"):
        value = values.get(key)
        if isinstance(value, dict):
            value = value.get("name") or " + ".join(map(str, value))
        if value:
            yield str(value)


def _notes(exp_dir: Path, log: TrainLog, sets: Sequence[DecodedSet]) -> Html | None:
    """What is wrong with the files, for the reader to know before believing the numbers."""
    notes = list(log.notes)
    read = {each.folder for each in sets}
    empty = [path.parent for path in sorted(exp_dir.glob("decode/*/hyps.jsonl")) if path.parent not in read]
    notes += [f"decode/{folder.name}: hyps.jsonl holds no utterances, so it is left out" for folder in empty]
    for each in sets:
        total, rate = each.errors.total, each.main[1]
        if (total.sub, total.ins, total.del_, total.ref_len) != (rate.sub, rate.ins, rate.del_, rate.ref_len):
            notes.append(f"decode/{each.name}: scored before its hypotheses were made; run `speechkit score {exp_dir}`")
    return h("ul", [h("li", note) for note in notes], class_="notes") if notes else None


def _cards(log: TrainLog, sets: Sequence[DecodedSet]) -> Html | None:
    cards = [_set_card(each) for each in sets] or list(_validation_cards(log))
    return h("div", cards, class_="cards") if cards else None


def _set_card(each: DecodedSet) -> Html:
    name, rate = each.main
    other = ("WER", each.wer) if name == "CER" else ("CER", each.cer)
    return h(
        "article",
        h("h2", each.name),
        h("div", percent(rate.rate), h("small", f"% {name}"), class_="big"),
        h("p", f"95 % interval {interval(rate)}"),
        h("p", f"{other[0]} {percent(other[1].rate)} %, {plural(len(each.rows), 'utterance')}"),
        class_="card",
    )


def _validation_cards(log: TrainLog) -> Iterator[Html]:
    """Before anything is decoded: the best validation so far."""
    for key in ERROR_RATES:
        values = log.valids[key]
        if np.isfinite(values).any():
            best = int(np.nanargmin(values))
            big = h("div", f"{values[best]:.2f}", h("small", f"% {key.upper()}"), class_="big")
            where = h("p", f"at step {thousands(int(log.valids['step'][best]))}; nothing is decoded yet")
            yield h("article", h("h2", "Best validation"), big, where, class_="card")


def _navigation(sets: Sequence[DecodedSet], has_config: bool) -> Html:
    links = [("Results", "results")] if sets else []
    links += [("Training", "training"), *((f"Errors in {each.name}", f"set-{i}") for i, each in enumerate(sets))]
    links += [("Config", "config")] if has_config else []
    anchors = [h("a", title, href=f"#{target}") for title, target in [*links, ("Provenance", "provenance")]]
    return h("nav", h("div", anchors), aria_label="Parts of the page")


# --- parts --------------------------------------------------------------------------------------------------------


def _results(sets: Sequence[DecodedSet]) -> Html | None:
    if not sets:
        return None
    head = [
        "set",
        "WER %",
        "95 % interval",
        "",
        "sub",
        "ins",
        "del",
        "CER %",
        "utts",
        "words",
        "RTF",
        "threads",
        "search",
    ]
    widest = max(0.01, *(each.wer.interval[1] for each in sets))
    rows = [_result_row(each, widest) for each in sets]
    body = table(head, rows, [1, 2, 4, 5, 6, 7, 8, 9, 10, 11], "Results per decoded set")
    note = "Counts are words. RTF: seconds of work per second of audio. The interval is a bootstrap over utterances."
    return h("section", h("h2", "Results"), body, h("p", note, class_="note"), id="results")


def _result_row(each: DecodedSet, widest: float) -> list[Any]:
    wer, (search, options) = each.wer, each.search
    how = join([search, join([h("br"), h("span", options, class_="soft")]) if options else None])
    counts = [thousands(n) for n in (wer.sub, wer.ins, wer.del_)]
    sizes = [thousands(len(each.rows)), thousands(wer.ref_len)]
    rates = [h("b", percent(wer.rate)), interval(wer), _interval_drawing(wer, widest)]
    speed = [real_time_factor(each), each.facts.get("threads", "–")]
    return [h("th", each.name, scope="row"), *rates, *counts, percent(each.cer.rate), *sizes, *speed, how]


def _interval_drawing(rate: ErrorRate, widest: float) -> Html:
    """Estimate and interval on the scale that all sets share, which begins at 0."""
    low, middle, high = (
        2 + (GUIDE_WIDTH - 4) * min(value / widest, 1.0) for value in (rate.interval[0], rate.rate, rate.interval[1])
    )
    rail, line = f"M2 9H{GUIDE_WIDTH - 2}", f"M{low:.1f} 9H{high:.1f}M{low:.1f} 5v8M{high:.1f} 5v8"
    parts = [h("path", d=rail, class_="rail"), h("path", d=line), h("circle", cx=f"{middle:.1f}", cy=9, r=4)]
    return h("svg", parts, viewBox=f"0 0 {GUIDE_WIDTH} 18", class_="interval", aria_hidden="true")


def _set_sections(sets: Sequence[DecodedSet]) -> Iterator[Html]:
    """Each set has its share of the page."""
    for i, each in enumerate(sets):
        clips = ClipBudget(AUDIO_BYTES // len(sets))
        yield set_section(each, max(MIN_WORST, NUM_WORST // len(sets)), clips, anchor=f"set-{i}")


def _config(path: Path) -> Html:
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = [_yaml_line(line) for line in text.splitlines()]
    body = details(f"config.yaml, {len(lines)} lines", h("pre", join(lines, "\n"), tabindex=0))
    return h("section", h("h2", "Config"), body, id="config")


def _yaml_line(line: str) -> Html:
    found = _YAML_KEY.match(line)
    return join([found[1], h("span", found[2], class_="key"), found[3]]) if found else join([line])


def _provenance(log: TrainLog, sets: Sequence[DecodedSet]) -> Html:
    """What made the numbers."""
    rows = [
        [f"decode {each.name}", *(_fact(each, key) for key in ("date", "machine")), h("code", _fact(each, "command"))]
        for each in sets
    ]
    if log:
        first, last = moment(log.first), moment(log.last)
        rows.insert(0, ["training", f"{first} – {last}", "–", "–"])
    body = table(["what", "date", "machine and versions", "command"], rows, [], "Provenance")
    return h("section", h("h2", "Provenance"), body, id="provenance")


def _fact(each: DecodedSet, key: str) -> str:
    return str(each.facts.get(key) or "–")
