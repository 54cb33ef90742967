from __future__ import annotations

import numpy as np
import pytest
import tiny

from speechkit.cli.main import main
from speechkit.data.token_durations import read_token_durations
from speechkit.tasks import durations


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """A config of a voice, for which somebody knows some durations."""

    def known(model_dir, config, device):
        assert (model_dir.name, config.seed, device) == ("teacher", 9, "cpu")
        yield "b", np.array([3, 4], dtype=np.int32)
        yield "c", "it is too short"
        yield "a", np.array([5], dtype=np.int32)

    monkeypatch.setattr(durations, "find_durations", known)
    path = tmp_path / "voice.yaml"
    path.write_text("task: tts\nmodel: fastspeech\nobjectives: {mel: l1, log_duration: mse}\n")
    return str(path)


def test_durations_are_written_in_order_and_failures_are_named_and_counted(conf, tmp_path, capsys):
    target = tmp_path / "made" / "d.jsonl"
    assert main(["durations", "teacher", conf, "--to", str(target), "seed=9"]) == 0
    assert list(read_token_durations(target)) == ["a", "b"]
    out, err = capsys.readouterr()
    assert out == f"{target}: 2 utterances aligned; 1 could not be and are left out\n"
    assert "speechkit durations: error: cut c: it is too short" in err


def test_the_file_may_be_that_of_the_config_and_there_has_to_be_one(conf, tmp_path, capsys):
    target = tmp_path / "d.jsonl"
    assert main(["durations", "teacher", conf, "seed=9", f"token_durations={target}"]) == 0 and target.exists()
    assert main(["durations", "teacher", conf, "seed=9"]) == 1
    assert "--to: expected a file, got none, and token_durations of the config is null" in capsys.readouterr().err


def test_it_is_for_voices(tmp_path, capsys):
    assert main(["durations", "teacher", str(tiny.write_corpus(tmp_path)), "--to", "d.jsonl"]) == 1
    assert "task: expected tts, got asr" in capsys.readouterr().err
