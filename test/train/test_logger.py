from __future__ import annotations

import json
import time

from speechkit.train.logger import Logger, finite_or_text, flatten


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
