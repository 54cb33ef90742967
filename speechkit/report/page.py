"""``report.html``: one page about experiments that needs nothing but itself. Curves, results, errors and voices to hear."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import speechkit
from speechkit.config import ConfigError, read_yaml
from speechkit.metrics.error_rate import ErrorRate
from speechkit.report.clips import ClipBudget
from speechkit.report.html import Html, details, h, join, table
from speechkit.report.listening import listening_section
from speechkit.report.numbers import percent, plural, thousands
from speechkit.report.progress import ERROR_RATES, moment, training_section
from speechkit.report.results import DecodedSet, read_sets
from speechkit.report.table import interval, real_time_factor
from speechkit.report.train_log import TrainLog, read_train_log
from speechkit.report.utterances import set_section
from speechkit.report.voice_results import voice_card, voice_results
from speechkit.report.voices import ScoredVoice, read_voices
from speechkit.utils.files import atomic_write

AUDIO_BYTES = 2_500_000  # of base64 text, over all sets
VOICE_BYTES = 5_000_000  # likewise, of voices, whose utterances are heard in three versions
NUM_WORST = 24  # utterances, over all sets
MIN_WORST = 6  # utterances, per set
GUIDE_WIDTH = 112  # pixels of the drawing of an interval

_YAML_KEY = re.compile(r"^(\s*(?:- )*)([\w.-]+:)(.*)$")


@dataclass(frozen=True)
class Experiment:
    """Whatever an experiment holds so far."""

    folder: Path
    log: TrainLog
    sets: list[DecodedSet]
    voices: list[ScoredVoice]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def config(self) -> Path | None:
        """The file, if there is one."""
        path = self.folder / "config.yaml"
        return path if path.exists() else None


@dataclass(frozen=True)
class Part:
    """A section of the page, and what links to it."""

    title: str
    anchor: str
    html: Html


def write_report(*exp_dirs: Path, to: Path | None = None) -> Path:
    """Write a page about whatever experiments hold so far: training, decoded sets, spoken sets, or all of them.

    Args:
        exp_dirs: The experiments' folders.
        to: The page; ``report.html`` in the first folder unless given.

    Returns:
        The path of the page.

    Raises:
        ValueError: There is nothing to report, or a result file is corrupt; the message names it.
    """
    experiments = [read_experiment(Path(exp_dir)) for exp_dir in exp_dirs]
    path = experiments[0].folder / "report.html" if to is None else to
    with atomic_write(path) as file:
        file.write("<!doctype html>\n" + render(experiments) + "\n")
    return path


def read_experiment(exp_dir: Path) -> Experiment:
    """What is there to report.

    Raises:
        ValueError: Nothing, or a result file is corrupt; the message names it.
    """
    found = Experiment(exp_dir, read_train_log(exp_dir / "train.jsonl"), read_sets(exp_dir), read_voices(exp_dir))
    if not found.log and not found.sets and not found.voices:
        got = "no such folder" if not exp_dir.is_dir() else "neither"
        raise ValueError(
            f"{exp_dir}: expected train.jsonl or sets that were decoded or spoken to report on, got {got}; "
            f"run `speechkit train CONFIG --exp {exp_dir}` first"
        )
    return found


def render(experiments: Sequence[Experiment]) -> Html:
    """The page as markup."""
    title = ", ".join(each.name for each in experiments)
    parts = list(_parts(experiments))
    written = f"Written by speechkit {speechkit.__version__} on {date.today().isoformat()}. "
    body = [
        h("a", "Skip to the content", href="#main", class_="skip"),
        h("header", h("div", h("h1", title), _top(experiments))),
        h("nav", h("div", [h("a", part.title, href=f"#{part.anchor}") for part in parts]), aria_label="Parts of the page"),
        h("main", [part.html for part in parts], id="main"),
        h("footer", written, "This page is one file; it loads nothing from elsewhere."),
        h("script", Html(_resource("page.js"))),
    ]
    return h("html", _head(title), h("body", body), lang="en")


def _parts(experiments: Sequence[Experiment]) -> Iterator[Part]:
    """The sections in reading order; of several experiments, each says whose it is."""
    of = {id(each): f" of {each.name}" if len(experiments) > 1 else "" for each in experiments}
    number = {id(each): f"-{i}" if len(experiments) > 1 else "" for i, each in enumerate(experiments)}
    if decoded := [(each.name, found) for each in experiments for found in each.sets]:
        yield Part("Results", "results", _results(decoded, len(experiments) > 1))
    if voices := [(each.name, found) for each in experiments for found in each.voices]:
        yield Part("Voices", "voices", voice_results(voices, len(experiments) > 1))
    yield from _listening(voices)
    for each in experiments:
        title, anchor = f"Training{of[id(each)]}", f"training{number[id(each)]}"
        yield Part(title, anchor, training_section(each.log, title, anchor))
    for i, (name, found) in enumerate(decoded):
        # Each set has its share of the page.
        clips, num = ClipBudget(AUDIO_BYTES // len(decoded)), max(MIN_WORST, NUM_WORST // len(decoded))
        whose = f" ({name})" if len(experiments) > 1 else ""
        yield Part(f"Errors in {found.name}{whose}", f"set-{i}", set_section(found, num, clips, f"set-{i}", whose))
    for each in experiments:
        if each.config:
            title, anchor = f"Config{of[id(each)]}", f"config{number[id(each)]}"
            yield Part(title, anchor, _config(each.config, title, anchor))
    yield Part("Provenance", "provenance", _provenance(experiments))


def _listening(voices: Sequence[tuple[str, ScoredVoice]]) -> Iterator[Part]:
    """A section for each set; what several experiments have said of it is side by side."""
    names = list(dict.fromkeys(each.name for _, each in voices))
    for i, name in enumerate(names):
        clips, num = ClipBudget(VOICE_BYTES // len(names)), max(MIN_WORST, NUM_WORST // len(names))
        same = [(whose, each) for whose, each in voices if each.name == name]
        yield Part(f"Listen to {name}", f"listen-{i}", listening_section(same, num, clips, f"listen-{i}"))


def _head(name: str) -> Html:
    """Title, style, and a policy under which the page's own script runs and nothing else, even if markup slipped in."""
    digest = base64.b64encode(hashlib.sha256(_resource("page.js").encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; media-src data:; img-src data:"
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


def _top(experiments: Sequence[Experiment]) -> Html:
    """What each experiment is, what is wrong with its files, and its best numbers."""
    several = len(experiments) > 1
    notes = [note for each in experiments for note in _notes(each)]
    cards = [card for each in experiments for card in _cards(each, f"{each.name}, " if several else "")]
    lines = [_headline(each, several) for each in experiments]
    shown = h("ul", [h("li", note) for note in notes], class_="notes") if notes else None
    return join([lines, shown, h("div", cards, class_="cards") if cards else None])


def _headline(each: Experiment, several: bool) -> Html:
    facts = [found.facts for found in each.sets] + [voice.totals for voice in each.voices]
    dates = [str(fact["date"]) for fact in facts if fact.get("date")]
    when = max(dates, default=str(each.log.last.get("time", ""))[:10])
    words = join([*_model(each.config), when], " · ")
    return h("p", h("b", each.name), ": ", words) if several else h("p", words)


def _model(config: Path | None) -> Iterator[str]:
    """The words that tell an experiment from others: task, corpus, encoder or model, objectives."""
    try:
        values = read_yaml(config) if config else {}
    except ConfigError:  # the page shows the text as it is
        return
    for key in ("task", "corpus", "encoder", "model", "objectives"):
        value = values.get(key)
        if isinstance(value, dict):
            value = value.get("name") or " + ".join(map(str, value))
        if value:
            yield str(value)


def _notes(experiment: Experiment) -> list[str]:
    """What is wrong with the files, for the reader to know before believing the numbers."""
    exp_dir, sets, notes = experiment.folder, experiment.sets, list(experiment.log.notes)
    read = {each.folder for each in sets}
    empty = [path.parent for path in sorted(exp_dir.glob("decode/*/hyps.jsonl")) if path.parent not in read]
    notes += [f"decode/{folder.name}: hyps.jsonl holds no utterances, so it is left out" for folder in empty]
    for each in sets:
        total, rate = each.errors.total, each.main[1]
        if (total.sub, total.ins, total.del_, total.ref_len) != (rate.sub, rate.ins, rate.del_, rate.ref_len):
            notes.append(f"decode/{each.name}: scored before its hypotheses were made; run `speechkit score {exp_dir}`")
    for voice in experiment.voices:
        notes += [f"synthesis/{voice.name}: left out: {reason}" for reason in voice.totals.get("left_out", [])]
        if not voice.scores:
            notes.append(f"synthesis/{voice.name}: not scored; run `speechkit score {exp_dir} --recognizer DIR`")
        elif {row["id"] for row in voice.spoken.rows} != set(voice.scores):
            notes.append(f"synthesis/{voice.name}: scored before it was spoken; run `speechkit score {exp_dir}`")
    return notes


def _cards(each: Experiment, whose: str) -> list[Html]:
    cards = [_set_card(found, whose + found.name) for found in each.sets]
    cards += [voice_card(voice, whose + voice.name) for voice in each.voices]
    return cards or list(_validation_cards(each.log, whose))


def _set_card(each: DecodedSet, title: str) -> Html:
    name, rate = each.main
    other = ("WER", each.wer) if name == "CER" else ("CER", each.cer)
    return h(
        "article",
        h("h2", title),
        h("div", percent(rate.rate), h("small", f"% {name}"), class_="big"),
        h("p", f"95 % interval {interval(rate)}"),
        h("p", f"{other[0]} {percent(other[1].rate)} %, {plural(len(each.rows), 'utterance')}"),
        class_="card",
    )


def _validation_cards(log: TrainLog, whose: str) -> Iterator[Html]:
    """Before anything is decoded: the best validation so far."""
    for key in ERROR_RATES:
        values = log.valids[key]
        if np.isfinite(values).any():
            best = int(np.nanargmin(values))
            big = h("div", f"{values[best]:.2f}", h("small", f"% {key.upper()}"), class_="big")
            where = h("p", f"at step {thousands(int(log.valids['step'][best]))}; nothing is decoded yet")
            yield h("article", h("h2", f"{whose}Best validation"), big, where, class_="card")


# --- parts --------------------------------------------------------------------------------------------------------


def _results(sets: Sequence[tuple[str, DecodedSet]], several: bool) -> Html:
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
    widest = max(0.01, *(each.wer.interval[1] for _, each in sets))
    rows = [_result_row(each, widest) for _, each in sets]
    if several:
        head, rows = ["experiment", *head], [[name, *row] for (name, _), row in zip(sets, rows)]
    numeric = [i + several for i in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11)]
    body = table(head, rows, numeric, "Results per decoded set")
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


def _config(path: Path, title: str, anchor: str) -> Html:
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = [_yaml_line(line) for line in text.splitlines()]
    body = details(f"config.yaml, {len(lines)} lines", h("pre", join(lines, "\n"), tabindex=0))
    return h("section", h("h2", title), body, id=anchor)


def _yaml_line(line: str) -> Html:
    found = _YAML_KEY.match(line)
    return join([found[1], h("span", found[2], class_="key"), found[3]]) if found else join([line])


def _provenance(experiments: Sequence[Experiment]) -> Html:
    """What made the numbers."""
    rows = []
    for each in experiments:
        whose = f"{each.name}: " if len(experiments) > 1 else ""
        if each.log:
            rows.append([f"{whose}training", f"{moment(each.log.first)} – {moment(each.log.last)}", "–", "–"])
        rows += [_made(f"{whose}decode {found.name}", found.facts) for found in each.sets]
        for voice in each.voices:
            made = {"synthesize": voice.facts, "score": voice.totals}
            rows += [_made(f"{whose}{verb} {voice.name}", facts) for verb, facts in made.items() if facts.get("command")]
    body = table(["what", "date", "machine and versions", "command"], rows, [], "Provenance")
    return h("section", h("h2", "Provenance"), body, id="provenance")


def _made(what: str, facts: dict[str, Any]) -> list[Any]:
    return [what, *(str(facts.get(key) or "–") for key in ("date", "machine")), h("code", str(facts.get("command") or "–"))]
