from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from speechkit.train.logger import Logger, finite_or_text, flatten


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test sets its ``now``."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("speechkit.train.logger.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_rows_are_whole_json_lines_and_numbers_reach_tensorboard(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"event": "step"}\n{"event": "st')  # a crash left half a line
    logger = Logger(tmp_path, total_steps=5)
    logger.event("step", 1, 0, loss=float("nan"), losses={"ctc": 2.0}, note="x")
    logger.show_step(1, 0, "loss 2")
    logger.close()
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [row["event"] for row in rows] == ["step", "step"] and rows[1]["loss"] == "nan"
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert "train/losses/ctc" in events.Tags()["scalars"]
    assert events.Scalars("train/losses/ctc")[0].value == 2.0


def test_without_a_terminal_progress_is_plain_lines(tmp_path, capsys):
    logger = Logger(tmp_path, total_steps=100)
    logger.show_step(10, 0, "loss 1.5")
    logger.close()
    assert "epoch 1 step 10/100 loss 1.5 eta 0:00:0" in capsys.readouterr().err


@pytest.mark.parametrize("first", [0, 40])
def test_the_time_left_is_told_from_the_second_step_on_and_leaves_out_the_first(tmp_path, capsys, clock, first):
    logger = Logger(tmp_path, total_steps=100, first_step=first)
    clock.now += 1000.0
    logger.show_step(first + 1, 0, "loss 3")
    clock.now += 20.0
    logger.show_step(first + 2, 0, "loss 2")
    logger.close()
    seconds = 20 * (100 - first - 2)
    told = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    assert capsys.readouterr().err.splitlines() == [
        f"epoch 1 step {first + 1}/100 loss 3", f"epoch 1 step {first + 2}/100 loss 2 eta {told}",
    ]  # fmt: skip


def test_plain_lines_come_every_few_seconds_and_at_new_epochs_but_not_at_each_of_very_short_ones(tmp_path, capsys, clock):
    logger = Logger(tmp_path, total_steps=100)
    steps = [(0.1, 0), (5, 0), (6, 0), (2, 1), (0.5, 2), (0.4, 3), (0.4, 4), (3, 4)]
    for step, (seconds, epoch) in enumerate(steps, start=1):
        clock.now += seconds
        logger.show_step(step, epoch, "")
    logger.close()
    assert [line.split()[3] for line in capsys.readouterr().err.splitlines()] == [f"{i}/100" for i in (1, 3, 4, 7)]


def test_after_a_resume_tensorboard_has_every_step_once(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for first, steps, loss in ((0, range(1, 6), 1.0), (3, range(4, 6), 2.0)):
        logger = Logger(tmp_path, 5, first_step=first)
        for step in steps:
            logger.event("step", step, 0, loss=loss)
        logger.close()
        time.sleep(1.1)  # files are ordered by the second of their start
    scalars = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("train/loss")
    assert [(each.step, each.value) for each in scalars] == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0)]


def test_other_ranks_write_nothing(tmp_path):
    logger = Logger(tmp_path, 5, enabled=False)
    logger.event("step", 1, 0)
    logger.say("hello")
    logger.close()
    assert not list(tmp_path.iterdir())


def test_helpers():
    assert flatten({"a": 1, "b": {"c": 2.0, "d": "x"}}) == [("a", 1), ("b/c", 2.0)]
    assert finite_or_text({"a": [1], "b": float("inf")}) == {"a": [1], "b": "inf"}
