"""The page's part about one decoded set: durations, confused words, and the worst utterances, seen and heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from speechkit.metrics.error_rate import Pair, Unit, UtteranceErrors
from speechkit.report.axis import nice_step
from speechkit.report.chart import Bar, Chart
from speechkit.report.clips import ClipBudget
from speechkit.report.html import Html, details, escape, h, join, table
from speechkit.report.numbers import plural
from speechkit.report.results import DecodedSet

MAX_CONFUSIONS = 15
FEW = 6  # what happened only once is shown up to here
MAX_NBEST = 8
BINS = 28
KINDS = ("sub", "del", "ins")
KEY = "Above: the reference. Below: what was recognised; the bar is the confidence in a word."
NAMES = {"sub": "substituted", "del": "deleted", "ins": "inserted"}


def set_section(each: DecodedSet, num_worst: int, clips: ClipBudget, anchor: str, whose: str = "") -> Html:
    """Everything about the errors of one set.

    Args:
        each: The set.
        num_worst: How many utterances to show.
        clips: What their audio may still take.
        anchor: Id of the section.
        whose: What its heading says of the experiment.
    """
    parts = [_durations(each), _confusions(each), _worst(each, num_worst, clips)]
    return h("section", h("h2", "Errors in ", each.name, whose), parts, id=anchor)


def kind_of(pair: Pair) -> str | None:
    """``sub``, ``del`` or ``ins``; None for a word that is right."""
    ref, hyp = pair
    if hyp is None:
        return "del"
    return "ins" if ref is None else None if ref == hyp else "sub"


# --- durations ----------------------------------------------------------------------------------------------------


def _durations(each: DecodedSet) -> Html | None:
    """How long utterances are, and how the error rate depends on it."""
    counts, rates = duration_bars(each)
    if not counts:
        return None
    lengths = Chart("Durations", "utterances", bars=counts, zero=True, x_label="seconds")
    errors = Chart(f"{each.main[0]} by duration", "%", bars=rates, zero=True, x_label="seconds")
    return h("div", lengths.html(), errors.html(), class_="charts")


def duration_bars(each: DecodedSet) -> tuple[list[Bar], list[Bar]]:
    """Two histograms over durations in seconds: the number of utterances, and their error rate in per cent."""
    seconds = {row["id"]: row["duration"] for row in each.rows if isinstance(row.get("duration"), (int, float))}
    if not seconds:
        return [], []
    width = nice_step(max(seconds.values(), default=0) / BINS or 1.0)
    bins: dict[int, list[UtteranceErrors]] = {}
    for utterance in each.errors.utterances:
        if utterance.id in seconds:
            bins.setdefault(int(seconds[utterance.id] / width), []).append(utterance)
    bars = [_bars_of(i * width, (i + 1) * width, inside, each.main[0]) for i, inside in sorted(bins.items())]
    return [count for count, _ in bars], [rate for _, rate in bars if rate]


def _bars_of(low: float, high: float, inside: list[UtteranceErrors], name: str) -> tuple[Bar, Bar | None]:
    where = f"{low:.3g} to {high:.3g} s: {plural(len(inside), 'utterance')}"
    errors, length = sum(u.errors for u in inside), sum(u.ref_len for u in inside)
    rate = 100 * errors / length if length else None
    count = Bar(low, high, len(inside), where)
    return count, None if rate is None else Bar(low, high, rate, f"{where}, {name} {rate:.2f} %")


# --- confusions ---------------------------------------------------------------------------------------------------


def count_errors(each: DecodedSet) -> dict[str, Counter[Pair]]:
    """How often each word was taken for which, deleted or inserted."""
    counts: dict[str, Counter[Pair]] = {kind: Counter() for kind in KINDS}
    for utterance in each.errors.utterances:
        for pair in utterance.alignment:
            if kind := kind_of(pair):
                counts[kind][pair] += 1
    return counts


def _confusions(each: DecodedSet) -> Html:
    counts = count_errors(each)
    if not any(counts.values()):
        return h("p", "No errors at all.", class_="note")
    unit = "characters" if each.unit == "char" else "words"
    titles = {"sub": f"{unit.capitalize()} taken for others", "del": "Deleted", "ins": "Inserted"}
    columns = [_column(kind, titles[kind], counts[kind]) for kind in KINDS if counts[kind]]
    return join([h("h3", f"Most confused {unit}"), h("div", columns, class_="columns")])


def _column(kind: str, title: str, counts: Counter[Pair]) -> Html:
    # By count, then by word, so that the page does not depend on the order of utterances.
    common = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:MAX_CONFUSIONS]
    common = [item for i, item in enumerate(common) if item[1] > 1 or i < FEW]
    items = [
        h("li", h("span", _shown(pair)), h("i", style=f"--part:{n / common[0][1]:.3f}"), h("b", n), class_=kind)
        for pair, n in common
    ]
    total = h("span", f"{sum(counts.values())} in all", class_="soft")
    return h("div", h("h4", title, " · ", total), h("ol", items, class_="count"))


def _shown(pair: Pair) -> Html:
    """The words of an error; a space, which is a character too, as a sign that can be seen."""
    return escape(" → ".join("␣" if unit == " " else unit for unit in pair if unit is not None))


# --- worst utterances ---------------------------------------------------------------------------------------------


def _worst(each: DecodedSet, num_worst: int, clips: ClipBudget) -> Html | None:
    rows = {row["id"]: row for row in each.rows}
    wrong = sorted((u for u in each.errors.utterances if u.errors), key=lambda u: (-u.errors, u.ref_len, u.id))
    if not wrong:
        return None
    before = clips.left_out
    shown = [_utterance(u, rows[u.id], each, clips) for u in wrong[:num_worst]]
    notes = [f"{len(wrong)} of {len(rows)} utterances have errors; these are the {len(shown)} with the most."]
    if len(wrong) > len(shown):
        notes.append(f"The other {len(wrong) - len(shown)} are left out here; decode/{each.name}/errors.txt has all.")
    if clips.left_out > before:
        notes.append(f"The audio of {clips.left_out - before} is left out to keep the page small.")
    return join([h("h3", "Worst utterances"), h("p", " ".join(notes), class_="note"), key_line(KEY), shown])


def key_line(text: str) -> Html:
    """What the colours mean, and ``text``."""
    samples = [_pair(("said", "heard"), None), _pair(("deleted", None), None), _pair((None, "inserted"), None)]
    return h("div", samples, h("span", text), class_="key-line")


def _utterance(utterance: UtteranceErrors, row: dict[str, Any], each: DecodedSet, clips: ClipBudget) -> Html:
    unit = "character" if each.unit == "char" else "word"
    rate = f", {100 * utterance.errors / utterance.ref_len:.0f} %" if utterance.ref_len else ""
    size = f" in {plural(utterance.ref_len, unit)}{rate}"
    counts = ", ".join(
        f"{n} {NAMES[kind]}" for kind, n in zip(KINDS, (utterance.sub, utterance.del_, utterance.ins)) if n
    )
    duration = f"{row['duration']:.2f} s" if row.get("duration") else None
    head = h(
        "header", h("span", row["id"], class_="id"), h("span", h("b", plural(utterance.errors, "error")), size),
        h("span", counts), h("span", duration) if duration else None,
    )  # fmt: skip
    aligned = aligned_text(utterance.alignment, row.get("words") or [], each.unit)
    player = clips.player(row, f"audio of {row['id']}")
    return h("article", head, aligned, player, _more(row), class_="utterance")


def aligned_text(alignment: list[Pair], words: list[dict[str, Any]], unit: Unit) -> Html:
    """What was said over what was recognised, differences marked.

    Args:
        alignment: Of the utterance.
        words: Recognised ones with times and confidences, as in ``hyps.jsonl``; a click on them plays from there.
        unit: Of the alignment.
    """
    pairs = [_pair(pair, word) for pair, word in zip(alignment, _words_of(alignment, words))]
    return h("div", join(pairs, " "), class_=f"aligned{' tight' if unit == 'char' else ''}", dir="auto")


def _words_of(alignment: list[Pair], words: list[dict[str, Any]]) -> Iterator[dict[str, Any] | None]:
    """For each aligned pair the recognised word with its time and confidence, if the words are those aligned."""
    if [word.get("word") for word in words] != [hyp for _, hyp in alignment if hyp is not None]:
        words = []
    left = iter(words)
    for _, hyp in alignment:
        yield None if hyp is None else next(left, None)


def _pair(pair: Pair, word: dict[str, Any] | None) -> Html:
    """A reference word over the recognised one; only errors show both."""
    kind = kind_of(pair)
    ref, hyp = ("␣" if kind and unit == " " else unit for unit in pair)
    above = h("del", ref) if kind in ("sub", "del") else None
    below = _heard(hyp, word, "ins" if kind else "span") if hyp is not None else None
    return h(
        "span",
        above,
        " " if above and below else None,
        below,
        class_=f"pair {kind}" if kind else "pair",
        title=NAMES.get(kind or ""),
    )


def _heard(text: str, word: dict[str, Any] | None, tag: str) -> Html:
    """A recognised word with its confidence as a bar; a click plays from its beginning."""
    confidence = (word or {}).get("confidence")
    if word is None or not isinstance(confidence, (int, float)):
        return h(tag, text, class_="heard")
    hint = f"confidence {confidence:.2f}"
    style = f"--c:{min(1.0, max(0.0, confidence)):.2f}"
    return h(tag, text, class_="heard", data_start=word.get("start"), title=hint, style=style)


def _more(row: dict[str, Any]) -> Html | None:
    """Times and confidences as numbers, and what else the search found."""
    words, nbest = row.get("words") or [], row.get("nbest") or []
    cells = [[w.get("word"), _fixed(w.get("start")), _fixed(w.get("end")), _fixed(w.get("confidence"))] for w in words]
    times = (
        table(["word", "from, s", "to, s", "confidence"], cells, [1, 2, 3], f"Words of {row['id']}") if words else None
    )
    items = [h("li", n.get("text"), " ", h("span", _fixed(n.get("score")))) for n in nbest[:MAX_NBEST]]
    others = h("div", h("h4", "N-best, with scores"), h("ol", items, class_="nbest")) if len(nbest) > 1 else None
    if not times and not others:
        return None
    return details("Words and alternatives" if others else "Words", h("div", times, others, class_="columns"))


def _fixed(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, (int, float)) else "–"
