from __future__ import annotations

import json

import numpy as np
import pytest
from report_toy import write_training

from speechkit.report.train_log import Track, read_train_log


def test_every_step_is_there_once_with_its_last_values(tmp_path):
    rows = write_training(tmp_path)
    log = read_train_log(tmp_path / "train.jsonl")
    assert log.steps["step"].tolist() == list(range(1, 171))
    last = {row["step"]: row for row in rows if row["event"] == "step"}
    assert log.steps["lr"] == pytest.approx([last[step]["lr"] for step in range(1, 171)])
    assert log.valids["step"].tolist() == [50, 100, 150] and log.valids["wer"].tolist() == [18.0, 9.0, 6.0]
    assert log.notes == []


def test_a_resume_says_how_many_steps_were_repeated(tmp_path):
    write_training(tmp_path)
    events = read_train_log(tmp_path / "train.jsonl").events
    assert [event["event"] for event in events] == ["start", "skip", "resume", "end"]
    assert events[2]["repeated"] == 10 and events[1]["cuts"] == ["a-1", "b-2"]


def test_a_validation_after_the_checkpoint_is_forgotten_with_its_steps(tmp_path):
    rows = [
        {"event": "valid", "step": 5, "wer": 1.0},
        {"event": "resume", "step": 4},
        {"event": "valid", "step": 5, "wer": 2.0},
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_train_log(tmp_path / "train.jsonl").valids["wer"].tolist() == [2.0]


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_last_line_cut_short_is_left_out_and_said(tmp_path, cut):
    write_training(tmp_path, end=False)
    path = tmp_path / "train.jsonl"
    path.write_bytes(path.read_bytes()[: -1 - cut])
    log = read_train_log(path)
    assert log.steps["step"][-1] == 169
    [note] = log.notes
    assert "train.jsonl" in note and "last line" in note and str(len(path.read_bytes().split(b"\n"))) in note


def test_a_whole_last_line_without_its_end_counts(tmp_path):
    write_training(tmp_path)
    path = tmp_path / "train.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    log = read_train_log(path)
    assert log.last["event"] == "end" and log.notes == []


def test_unreadable_lines_in_the_middle_are_counted_by_number(tmp_path):
    write_training(tmp_path)
    path = tmp_path / "train.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[2], lines[4], lines[6] = b"\x00\x00\xff", b"[1]", b'{"event": "step"}'
    path.write_bytes(b"\n".join(lines))
    log = read_train_log(path)
    assert len(log.steps) == 167
    assert "3 unreadable lines" in log.notes[0] and "line 3, 5, 7" in log.notes[0]


def test_nan_and_infinity_are_read_from_their_texts():
    track = Track()
    for step, value in enumerate([1.5, "nan", "inf", "-inf", None, "high", [2]]):
        track.append({"step": step, "loss": value, "losses": {"ctc": value}})
    expected = [1.5, np.nan, np.inf, -np.inf, np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(track["loss"], expected)
    np.testing.assert_array_equal(track["losses/ctc"], expected)
    assert track.names() == ["loss", "losses/ctc"]


def test_columns_that_come_and_go_stay_in_step():
    track = Track()
    for row in ({"step": 1, "a": 1}, {"step": 2, "b": 2}, {"step": 3, "a": 3, "c": 4}):
        track.append(row)
    np.testing.assert_array_equal(track["a"], [1, np.nan, 3])
    np.testing.assert_array_equal(track["b"], [np.nan, 2, np.nan])
    np.testing.assert_array_equal(track["c"], [np.nan, np.nan, 4])
    np.testing.assert_array_equal(track["unknown"], [np.nan] * 3)
    assert track.forget_after(1) == 2 and track["a"].tolist() == [1.0]


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_no_file_and_an_empty_one_give_an_empty_log(tmp_path, content):
    if content is not None:
        (tmp_path / "train.jsonl").write_text(content)
    log = read_train_log(tmp_path / "train.jsonl")
    assert not log and log.notes == []
