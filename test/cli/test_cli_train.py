from __future__ import annotations

import json

import tiny

from speechkit.cli.main import main
from speechkit.train.trainer import Trainer


def test_training_leaves_a_folder_that_can_be_resumed_and_read(finished):
    exp = finished / "exp"
    events = [json.loads(line)["event"] for line in (exp / "train.jsonl").read_text().splitlines()]
    assert events[0] == "start" and events[-1] == "end" and "valid" in events
    assert (exp / "config.yaml").exists() and list((exp / "tensorboard").iterdir()) and list((exp / "checkpoints").iterdir())


def test_scripts_can_tell_that_training_was_stopped(tmp_path, monkeypatch):
    conf = tiny.write_corpus(tmp_path)
    monkeypatch.setattr(Trainer, "run", lambda self: False)
    argv = ["train", str(conf), "--exp", str(tmp_path / "exp")]
    assert main(argv) == 0 and main([*argv, "--fail-if-stopped"]) == 130


def test_a_typo_in_an_override_is_found_before_anything_is_written(tmp_path, capsys):
    conf = tiny.write_corpus(tmp_path)
    assert main(["train", str(conf), "--exp", str(tmp_path / "exp"), "train.epochs=3"]) == 1
    assert "train.epochs: unknown key; did you mean train." in capsys.readouterr().err
    assert not (tmp_path / "exp").exists()
