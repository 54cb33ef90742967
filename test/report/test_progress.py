from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_toy import Page, write_training

from speechkit.report.progress import charts, speed, training_facts, training_section
from speechkit.report.train_log import TrainLog, read_train_log


def log_of(folder: Path, **options: Any) -> TrainLog:
    write_training(folder, **options)
    return read_train_log(folder / "train.jsonl")


def log_from(rows: list[dict[str, Any]]) -> TrainLog:
    log = TrainLog()
    for row in rows:
        log.add({"epoch": 0, "time": "2026-01-01T00:00:00+00:00", **row})
    return log


def test_the_facts_are_sums_and_medians_of_the_rows(tmp_path):
    facts = dict(training_facts(log_of(tmp_path)))
    assert facts == {
        "State": "finished", "Steps": "170 of 170", "Epochs": 4, "Time in steps": "85.0 s", "Audio heard": "85.0 min",
        "× real time": "60", "Waiting for data": "20.0 %", "Padding": "2.0 %",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ({"event": "end"}, "finished"),
        ({"event": "stop", "signal": "SIGTERM"}, "stopped by SIGTERM"),
        ({"event": "step"}, "not ended"),
    ],
)
def test_the_state_is_how_the_log_ends(event, state):
    assert dict(training_facts(log_from([{"event": "start", "step": 0}, {"step": 1, **event}])))["State"] == state


def test_a_row_with_nothing_but_its_step_is_enough():
    assert training_facts(log_from([{"event": "step", "step": 3}])) == [
        ("State", "not ended"),
        ("Steps", "3"),
        ("Epochs", 1),
    ]
    Page(training_section(log_from([{"event": "step", "step": 3}])))


def test_speed_is_audio_per_time_and_unknown_for_no_time():
    log = log_from([{"event": "step", "step": i, "audio_seconds": 30, "seconds": s} for i, s in enumerate([0.5, 0, 2])])
    np.testing.assert_array_equal(speed(log.steps), [60, np.nan, 15])


def test_there_is_a_plot_for_everything_that_was_logged(tmp_path):
    page = Page(training_section(log_of(tmp_path)))
    assert page.texts("strong") == [
        "Loss", "Validation error rate", "Learning rate", "Gradient norm", "Speed", "Time per step",
    ]  # fmt: skip
    loss = json.loads(page.texts("script")[0])["series"]
    assert [one["name"] for one in loss] == ["training", "validation"]
    assert loss[1]["x"] == [50, 100, 150] and loss[1]["y"] == pytest.approx([2.7, 2.1, 1.9])
    rates = json.loads(page.texts("script")[1])
    assert [one["y"] for one in rates["series"]] == [[18.0, 9.0, 6.0], [9.0, 4.5, 3.0]] and rates["suffix"] == " %"


def test_a_plot_without_values_is_left_out(tmp_path):
    page = Page(training_section(log_from([{"event": "step", "step": i, "loss": 2.0} for i in range(5)])))
    assert page.texts("strong") == ["Loss"]


def test_parts_of_the_loss_and_rates_of_networks_have_their_own_curves():
    rows = [
        {"event": "step", "step": i, "loss": 3.0, "losses": {"ctc": 1.0, "attention": 2.0}, "lr": {"g": 0.1, "d": 0.2}}
        for i in range(4)
    ]
    by_title = {chart.title: [curve.name for curve in chart.curves] for chart in charts(log_from(rows))}
    assert by_title["Loss"] == ["training", "ctc", "attention"] and by_title["Learning rate"] == ["g", "d"]


def test_other_validation_metrics_have_plots_of_their_own():
    log = log_from([{"event": "valid", "step": i, "loss": 1.0, "mcd": 5.0, "seconds": 2.0} for i in range(3)])
    assert [chart.title for chart in charts(log) if chart.curves][:3] == ["Loss", "Validation mcd", "Gradient norm"]


def test_events_name_reason_and_utterances(tmp_path):
    page = Page(training_section(log_of(tmp_path)))
    assert page.texts("span", class_="tag") == ["start", "skip", "resume", "end"]
    what = page.texts("div", class_="what")
    assert "the gradient norm of model is nan" in what[1] and "10 steps after the checkpoint done again" in what[2]
    assert page.texts("code") == ["a-1", "b-2"] and page.texts("time")[0] == "2026-03-04 05:06:07"


def test_the_plots_mark_resumes_and_skips(tmp_path):
    page = Page(training_section(log_of(tmp_path)))
    assert page.texts("title")[:2] == ["resumed at step 100", "step 60: the gradient norm of model is nan"]


def test_notes_and_overflows_are_events_but_no_skipped_steps():
    rows = [{"event": "step", "step": i, "loss": 1.0} for i in range(1, 5)]
    rows += [{"event": "note", "step": 2, "reason": "too long", "cuts": ["a"]}]
    rows += [{"event": "overflow", "step": 3, "reason": "the norm is inf", "scale": 512.0}]
    page = Page(training_section(log_from(rows)))
    assert page.texts("span", class_="tag") == ["note", "overflow"] and not page.texts("title")
    assert [text for text in page.texts("span", class_="warn")] == ["note"] and page.texts("code") == ["a"]
    assert "the norm is inf; scale 512.0" in page.texts("div", class_="what")[1]


def test_all_utterances_of_a_big_skipped_batch_are_named():
    cuts = [f"cut-{i}" for i in range(40)]
    page = Page(training_section(log_from([{"event": "skip", "step": 7, "reason": "nan", "cuts": cuts}])))
    assert page.texts("code") == cuts and page.texts("summary") == ["40 utterances"]


def test_a_thousand_events_are_cut_to_the_first_and_last():
    log = log_from([{"event": "skip", "step": i, "reason": "nan", "cuts": ["a"]} for i in range(1000)])
    page = Page(training_section(log))
    steps = [int(text) for text in page.texts("td", class_="num")]
    assert steps[0] == 0 and steps[-1] == 999 and len(steps) == 60
    assert page.texts("p", class_="note") == ["940 events in the middle left out; train.jsonl has all."]


def test_validations_are_there_as_numbers(tmp_path):
    page = Page(training_section(log_of(tmp_path)))
    assert "All values of 3 validations" in page.texts("summary")
    cells = page.texts("td", class_="num")[:15]
    assert cells[:5] == ["1", "50", "2.700", "18.000", "9.000"] and cells[10:12] == ["3", "150"]


def test_no_log_is_said():
    assert "No train.jsonl" in training_section(TrainLog())


def test_the_many_losses_of_voices_have_plots_of_their_own_with_their_validation():
    log = TrainLog()
    names = ["mel", "duration", "kl", "discriminator", "adversarial"]
    for step in (1, 2):
        log.add({"event": "step", "step": step, "loss": 9.0, "losses": dict.fromkeys(names, step / 2)})
    log.add({"event": "valid", "step": 2, "loss": 8.0, "mel": 0.75, "wave.mel": 3.0})
    found = {chart.title: [curve.name for curve in chart.curves] for chart in charts(log)}
    assert found["Loss"] == ["training", "validation"]
    assert found["Loss mel"] == ["training", "validation"] and found["Loss kl"] == ["training"]
    assert "Validation mel" not in found and found["Validation wave.mel"] == ["wave.mel"]
