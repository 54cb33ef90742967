"""The page's part about training: facts, curves, and what happened on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from speechkit.report.chart import Chart, Mark
from speechkit.report.curve import point_curve, step_curve
from speechkit.report.html import Html, details, h, join, table
from speechkit.report.numbers import digits, plural, span, thousands
from speechkit.report.train_log import Track, TrainLog

MAX_EVENTS = 60
MAX_CUTS = 12
MAX_TOGETHER = 4  # losses in the plot of their sum; more have plots of their own
ERROR_RATES = ("wer", "cer")  # validation metrics in per cent, drawn in one plot
TIMES = (("whole step", "seconds"), ("waiting for data", "waited"))


def training_section(log: TrainLog, title: str = "Training", anchor: str = "training") -> Html:
    """Facts, curves, events; for an empty log, a line that says so."""
    if not log:
        return h("section", h("h2", title), h("p", "No train.jsonl in this folder.", class_="note"), id=anchor)
    plots = [chart.html() for chart in charts(log) if any(np.isfinite(curve.y).any() for curve in chart.curves)]
    parts = [definitions(training_facts(log)), h("div", plots, class_="charts"), _validations(log.valids), _events(log)]
    return h("section", h("h2", title), parts, id=anchor)


def definitions(facts: Sequence[tuple[str, Any]]) -> Html:
    """Names and values as a strip."""
    return h("dl", [h("div", h("dt", name), h("dd", value)) for name, value in facts], class_="facts")


# --- facts --------------------------------------------------------------------------------------------------------


def training_facts(log: TrainLog) -> list[tuple[str, Any]]:
    """What one wants to know of a run at a glance; what the log does not hold is left out."""
    steps, seconds, audio = log.steps, log.steps["seconds"], log.steps["audio_seconds"]
    total = next((e["total_steps"] for e in reversed(log.events) if e.get("total_steps")), None)
    facts: list[tuple[str, Any]] = [("State", status(log))]
    if len(steps):
        of = f" of {thousands(total)}" if total else ""
        facts += [("Steps", thousands(int(steps["step"][-1])) + of), ("Epochs", int(np.nanmax(steps["epoch"])) + 1)]
    if np.isfinite(seconds).any():
        facts.append(("Time in steps", span(float(np.nansum(seconds)))))
    if np.isfinite(audio).any():
        facts.append(("Audio heard", span(float(np.nansum(audio)))))
    if np.isfinite(speed(steps)).any():
        facts.append(("× real time", digits(float(np.nanmedian(speed(steps))))))
    if np.isfinite(waiting := np.nansum(steps["waited"]) / max(np.nansum(seconds), 1e-9)) and "waited" in steps.columns:
        facts.append(("Waiting for data", f"{100 * waiting:.1f} %"))
    if np.isfinite(steps["padding"]).any():
        facts.append(("Padding", f"{100 * float(np.nanmean(steps['padding'])):.1f} %"))
    return facts


def status(log: TrainLog) -> str:
    """Whether and how training came to its end."""
    event = log.last.get("event")
    if event == "end":
        return "finished"
    if event == "stop":
        return f"stopped by {log.last.get('signal', 'a signal')}"
    return "not ended"


def speed(steps: Track) -> np.ndarray:
    """(N,) seconds of audio per second."""
    seconds = steps["seconds"]
    return np.divide(steps["audio_seconds"], seconds, out=np.full(len(steps), np.nan), where=seconds > 0)


def moment(row: dict[str, Any]) -> str:
    """The time of a row, without its ``T`` and time zone."""
    return str(row.get("time", "–")).replace("T", " ")[:19]


# --- curves -------------------------------------------------------------------------------------------------------


def charts(log: TrainLog) -> list[Chart]:
    """All plots of a run, in reading order."""
    steps, valids, marks = log.steps, log.valids, _marks(log)
    x, at = steps["step"], valids["step"]
    parts = [name.removeprefix("losses/") for name in steps.names() if name.startswith("losses/")]
    apart = len(parts) > MAX_TOGETHER or any(name in valids.columns for name in parts)  # those of voices
    losses = [step_curve("training", x, steps["loss"])]
    losses += [step_curve(name, x, steps[f"losses/{name}"]) for name in parts if len(parts) > 1 and not apart]
    losses += [point_curve("validation", at, valids["loss"])] if "loss" in valids.columns else []
    rates = [point_curve(name.upper(), at, valids[name]) for name in ERROR_RATES if name in valids.columns]
    shown = (*ERROR_RATES, "loss", "seconds", *(parts if apart else ()))
    others = [name for name in valids.names() if name not in shown]
    learning = [
        step_curve(_network(name), x, steps[name], smooth=False) for name in steps.names() if name.split("/")[0] == "lr"
    ]
    norms = [step_curve("norm", x, steps["grad_norm"], geometric=True)]
    times = [step_curve(name, x, steps[key]) for name, key in TIMES if key in steps.columns]
    return [
        Chart("Loss", "weighted sum" if apart else "nats per utterance", losses, marks=marks, can_log=True),
        *[_part(log, name, marks) for name in parts if apart],
        Chart("Validation error rate", "%", rates, marks=marks, zero=True, suffix=" %"),
        *[Chart(f"Validation {name}", "", [point_curve(name, at, valids[name])], marks=marks) for name in others],
        Chart("Learning rate", "", learning, marks=marks, zero=True),
        Chart("Gradient norm", "before clipping", norms, marks=marks, can_log=True),
        Chart("Speed", "seconds of audio per second", [step_curve("speed", x, speed(steps))], marks=marks, zero=True),
        Chart("Time per step", "seconds", times, marks=marks, zero=True),
    ]


def _part(log: TrainLog, name: str, marks: list[Mark]) -> Chart:
    """One of many losses, in training and in validation."""
    curves = [step_curve("training", log.steps["step"], log.steps[f"losses/{name}"])]
    if name in log.valids.columns:
        curves.append(point_curve("validation", log.valids["step"], log.valids[name]))
    return Chart(f"Loss {name}", "before its weight", curves, marks=marks, can_log=True)


def _network(name: str) -> str:
    """``lr`` is the rate; ``lr/generator`` that of one network."""
    return name.partition("/")[2] or "rate"


def _marks(log: TrainLog) -> list[Mark]:
    resumes = [Mark(e["step"], "line", f"resumed at step {e['step']}") for e in log.events if e["event"] == "resume"]
    skips = {e["step"]: e for e in log.events if e["event"] == "skip"}
    shown = list(skips.values())[:MAX_EVENTS]
    return resumes + [Mark(e["step"], "tick", f"step {e['step']}: {e.get('reason', '')}") for e in shown]


def _validations(valids: Track) -> Html | None:
    """Every validation as numbers."""
    if not len(valids):
        return None
    names = [name for name in valids.names() if name != "seconds"]
    head = ["epoch", "step", *names]
    columns = [valids[name] for name in names]
    rows = [
        [int(epoch) + 1 if epoch == epoch else "–", int(step), *(f"{c[i]:.3f}" for c in columns)]
        for i, (epoch, step) in enumerate(zip(valids["epoch"], valids["step"]))
    ]
    return details(
        f"All values of {plural(len(valids), 'validation')}", table(head, rows, range(len(head)), "Validations")
    )


# --- events -------------------------------------------------------------------------------------------------------


def _events(log: TrainLog) -> Html | None:
    """Starts, resumes, skipped steps and notes with their utterances, overflows of half precision, and the end."""
    if not log.events:
        return None
    shown = (
        log.events if len(log.events) <= MAX_EVENTS else log.events[: MAX_EVENTS // 2] + log.events[-MAX_EVENTS // 2 :]
    )
    rows = [
        [_when(e), e["step"], h("span", e["event"], class_=f"tag {_tone(e)}"), h("div", _what(e), class_="what")]
        for e in shown
    ]
    note = None
    if len(shown) < len(log.events):
        note = h(
            "p",
            f"{plural(len(log.events) - len(shown), 'event')} in the middle left out; train.jsonl has all.",
            class_="note",
        )
    body = table(["time", "step", "event", ""], rows, [1], "Events of the training")
    return join([h("h3", "Events"), body, note])


def _when(event: dict[str, Any]) -> Html:
    return h("time", moment(event))


def _tone(event: dict[str, Any]) -> str:
    return {"skip": "bad", "note": "warn", "stop": "warn", "resume": "warn", "end": "good"}.get(event["event"], "")


def _what(event: dict[str, Any]) -> Html:
    """An event in words; for a skipped step or a note, the reason and the ids of its utterances."""
    known = {"event", "step", "epoch", "time", "reason", "cuts", "repeated", "total_steps", "signal"}
    parts = [
        event.get("reason"),
        event.get("signal"),
        f"of {event['total_steps']} steps" if "total_steps" in event else None,
    ]
    if event.get("repeated"):
        parts.append(f"{plural(event['repeated'], 'step')} after the checkpoint done again")
    parts += [f"{key} {value}" for key, value in event.items() if key not in known]
    text = join([part for part in parts if part], "; ")
    cuts = [h("code", cut) for cut in event.get("cuts") or []]
    if len(cuts) <= MAX_CUTS:
        return join([text, h("div", join(cuts, " "), class_="cuts") if cuts else None])
    return join([text, details(f"{len(cuts)} utterances", h("div", join(cuts, " "), class_="cuts"))])
