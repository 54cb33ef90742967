from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
import torch

from speechkit.tasks.base import load_config
from speechkit.tasks.training import lock, train
from speechkit.train import checkpoint
from speechkit.train.trainer import Trainer

FAST = ["train.max_epochs=2", "train.validate_every=0"]
AUGMENT = ["data.augment.speed={}", "data.augment.noise={}", "spec_augment={}", "encoder.dropout=0.2", "data.sampler.batch_duration=4"]


def rows(exp_dir, event):
    return [row for row in map(json.loads, (exp_dir / "train.jsonl").read_text().splitlines()) if row["event"] == event]


def test_a_run_resumed_in_the_middle_of_an_epoch_equals_the_straight_one_bit_for_bit(tmp_path, monkeypatch):
    conf = tiny.write_corpus(tmp_path)
    config = load_config(conf, FAST + AUGMENT)
    assert train(config, tmp_path / "straight")
    step = Trainer._train_step

    def stopping(self, group, waited):
        step(self, group, waited)
        if self.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "_train_step", stopping)
    assert not train(config, tmp_path / "stopped")
    monkeypatch.undo()
    assert train(config, tmp_path / "stopped")
    ends = [checkpoint.load(checkpoint.steps(tmp_path / n / "checkpoints", ".pt")[-1][1]) for n in ("straight", "stopped")]
    assert ends[0]["step"] == ends[1]["step"] > 6
    for name, weights in ends[0]["networks"]["model"].items():
        assert torch.equal(weights, ends[1]["networks"]["model"][name]), name
    losses = [[row["loss"] for row in rows(tmp_path / n, "step")] for n in ("straight", "stopped")]
    assert losses[0] == losses[1]


def test_going_on_with_another_config_lists_the_keys_that_differ(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    train(load_config(conf, FAST), tmp_path / "exp")
    with pytest.raises(ValueError, match=r"(?s)another --exp.*encoder.dim: 16 -> 8"):
        train(load_config(conf, [*FAST, "encoder.dim=8"]), tmp_path / "exp")
    assert train(load_config(conf, [*FAST, "search.name=ctc_prefix_beam"]), tmp_path / "exp")  # no matter to training


def test_an_utterance_whose_transcript_does_not_fit_is_named_and_the_others_train(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    from speechkit.data.cuts import open_cuts, write_cuts

    cuts = list(open_cuts(tmp_path / "data" / "train.jsonl.gz"))
    cuts[0].supervisions[0].text = "low " * 400
    write_cuts(cuts, tmp_path / "data" / "train.jsonl.gz")
    train(load_config(conf, FAST), tmp_path / "exp")
    notes = rows(tmp_path / "exp", "note")
    assert [row["cuts"] for row in notes] == [[cuts[0].id]] and "more tokens than ctc" in notes[0]["reason"]
    assert all(row["loss"] > 0 for row in rows(tmp_path / "exp", "step"))


def test_a_recording_with_nan_samples_ends_training_with_its_name(tmp_path):
    import numpy as np
    import soundfile

    conf = tiny.write_corpus(tmp_path)
    path = tmp_path / "data" / "wavs" / "train-4.wav"
    nan = np.full(soundfile.info(path).frames, np.nan, np.float32)
    soundfile.write(path, nan, tiny.RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"train-4.*not finite"):
        train(load_config(conf, FAST), tmp_path / "exp")


def test_sigterm_saves_and_exits_with_0(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    command = [sys.executable, "-m", "speechkit", "train", str(conf), "--exp", str(tmp_path / "exp"), "train.max_epochs=5000"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([*command, "train.validate_every=0"], env=env, stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 120
    while time.time() < deadline and not checkpoint.steps(tmp_path / "exp" / "checkpoints", ".pt"):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert "run the same command to go on" in process.stderr.read()
    assert rows(tmp_path / "exp", "stop")[0]["signal"] == "SIGTERM"


def test_stored_features_and_waveform_augmentation_exclude_each_other(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    with pytest.raises(ValueError, match="data.features: precomputed cannot go with data.augment .speed."):
        load_config(conf, ["data.features=precomputed", "data.augment.speed={}"])


def test_training_gives_up_when_no_utterance_can_be_aligned(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    with pytest.raises(ValueError, match="in all of the first 2. utterances; use longer units, less subsampling"):
        train(load_config(conf, [*FAST, "encoder.subsampling=stack", "encoder.subsampling_factor=200"]), tmp_path / "exp")


SMALL = "{name: transformer, dim: 16, num_heads: 2, num_layers: 1}"
ATTENTION = ["objectives.ctc=null", "objectives.attention.name=attention", f"objectives.attention.decoder={SMALL}"]


def test_a_search_of_what_is_not_trained_is_refused_before_anything_is_done(tmp_path):
    conf, exp = tiny.write_corpus(tmp_path), tmp_path / "exp"
    with pytest.raises(ValueError, match="^search: ctc_greedy expected an objective .*, got objectives attention"):
        train(load_config(conf, ATTENTION), exp)
    searched = load_config(conf, [*ATTENTION, "search=attention_greedy"])
    with pytest.raises(ValueError, match="^valid_search: ctc_greedy expected an objective"):
        train(searched, exp)
    assert not exp.exists()
    # Without validations nobody asks for that search. A graph may be made, and its name be given, when there is a model.
    assert train(load_config(conf, [*ATTENTION, *FAST, "search=attention_greedy", "train.max_epochs=1"]), exp)
    assert train(load_config(conf, [*FAST, "search={name: wfst, graph: later}", "train.max_epochs=1"]), tmp_path / "ctc")


def test_what_an_objective_began_with_is_not_estimated_again(tmp_path):
    conf, exp = tiny.write_corpus(tmp_path), tmp_path / "exp"
    crf = ["objectives.ctc=null", "objectives.crf.name=ctc_crf", "search=graph_viterbi", *FAST]
    train(load_config(conf, [*crf, "train.max_epochs=1"]), exp)
    shutil.rmtree(exp / "objectives")
    with pytest.raises(ValueError, match="crf/denominator.safetensors: expected a graph that training began with"):
        train(load_config(conf, crf), exp)
    assert not (exp / "objectives").exists()


def test_two_trainings_do_not_share_a_folder(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    held = lock(tmp_path / "exp")
    with pytest.raises(ValueError, match="exp: another process is training here"):
        train(load_config(conf, FAST), tmp_path / "exp")
    held.release()
    assert train(load_config(conf, FAST), tmp_path / "exp")


def test_training_goes_on_longer_and_with_other_means(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    train(load_config(conf, FAST), tmp_path / "exp")
    steps = len(rows(tmp_path / "exp", "step"))
    longer = load_config(conf, [*FAST, "train.max_epochs=4", "train.num_threads=1", "train.max_steps=null"])
    assert train(longer, tmp_path / "exp")
    assert len(rows(tmp_path / "exp", "step")) > steps
