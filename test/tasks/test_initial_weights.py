from __future__ import annotations

import re

import pytest
import tiny
import torch

from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import average
from speechkit.tasks.training import train
from speechkit.train import checkpoint

FAST = ["train.max_epochs=1", "train.validate_every=0"]


def first_weights(exp_dir, monkeypatch):
    """What a network has before its first step."""
    return checkpoint.load(checkpoint.steps(exp_dir / "checkpoints", ".pt")[0][1])["networks"]["model"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("initial")
    conf = tiny.write_corpus(folder)
    train(load_config(conf, FAST), folder / "old")
    average(folder / "old")
    return conf, folder / "old"


def started(trained, exp_dir, *overrides):
    """The weights of a network that has learned nothing after it started from the trained one."""
    conf, old = trained
    frozen = [*FAST, "seed=2", "train.optimizer.lr=1e-30", "train.optimizer.weight_decay=0", f"init.model={old}", *overrides]
    train(load_config(conf, frozen), exp_dir)
    return checkpoint.load(checkpoint.steps(exp_dir / "checkpoints", ".pt")[-1][1])["networks"]["model"]


def parameters(weights):
    return {name: value for name, value in weights.items() if name.endswith((".weight", ".bias"))}


def test_all_weights_that_fit_are_those_of_the_other_model(trained, tmp_path, capsys):
    from speechkit.utils.model_dir import load_weights

    old = parameters(load_weights(trained[1] / "averaged.safetensors"))
    new = started(trained, tmp_path / "new")
    assert all(torch.allclose(new[name], value) for name, value in old.items())
    assert re.search(r"started from .*old: 0\.\d+ M of 0\.\d+ M numbers$", capsys.readouterr().err, re.M)


def test_only_the_parts_that_are_named_are_taken(trained, tmp_path):
    from speechkit.utils.model_dir import load_weights

    old = parameters(load_weights(trained[1] / "averaged.safetensors"))
    new = started(trained, tmp_path / "new", "init.only=[encoder]")
    same = {name for name, value in old.items() if torch.allclose(new[name], value)}
    assert {name for name in old if name.startswith("encoder.")} <= same
    assert any(name.startswith("decoders.") for name in old.keys() - same)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["init.model=nowhere"], "init.model: nowhere: expected a model directory, found nothing"),
        (["init.only=[brain]"], r"init.only: expected parts of .*: .*encoder.*; got 'brain'"),
        (["init.only=[encoder]", "encoder.dim=8"], r"init.model: .* does not fit: encoder\..*: expected \(.*\), got \(.*\)"),
    ],
)
def test_what_cannot_be_taken_is_said_before_training(trained, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        started(trained, tmp_path / "new", *overrides)


def test_what_does_not_fit_is_left_out_and_named(trained, tmp_path, capsys):
    started(trained, tmp_path / "new", "objectives={attention: attention}", "search=attention_beam", "valid_search=attention_beam")
    assert "not taken: decoders.ctc" in capsys.readouterr().err
