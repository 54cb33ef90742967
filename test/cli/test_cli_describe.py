from __future__ import annotations

import pytest

from speechkit.cli.describe import plain
from speechkit.cli.main import main


def test_kinds_choices_and_options_are_described(capsys):
    assert main(["describe"]) == 0
    assert "encoder" in capsys.readouterr().out
    assert main(["describe", "encoder"]) == 0
    assert "conformer" in capsys.readouterr().out
    assert main(["describe", "encoder", "conformer"]) == 0
    out = capsys.readouterr().out
    assert "kernel_size" in out and "31" in out and "Taps of the depthwise" in out


def test_a_whole_experiment_is_described(capsys):
    assert main(["describe", "task", "asr"]) == 0
    out = capsys.readouterr().out
    assert "train.optimizer.lr" in out and "data.augment.speed.factors" in out


def test_a_mistyped_kind_or_name_gets_a_suggestion(capsys):
    assert main(["describe", "encodr"]) == 1
    assert "did you mean 'encoder'?" in capsys.readouterr().err
    assert main(["describe", "encoder", "confromer"]) == 1
    assert "did you mean 'conformer'?" in capsys.readouterr().err
    assert main(["describe", "transducer"]) == 1
    assert "did you mean 'decoder transducer' or 'objective transducer'?" in capsys.readouterr().err


def described(capsys, *argv):
    """The lines of a description, by their first word."""
    assert main(["describe", *argv]) == 0
    return {line.split()[0]: " ".join(line.split()[1:]) for line in capsys.readouterr().out.splitlines() if line.strip()}


@pytest.mark.parametrize(("objective", "default"), [("pruned_transducer", "true"), ("transducer", "false")])
def test_the_default_of_a_nested_option_is_that_of_the_choice_it_is_nested_in(monkeypatch, capsys, objective, default):
    monkeypatch.setenv("COLUMNS", "200")
    assert described(capsys, "objective", objective)["decoder.simple_joiner"].startswith(f"{default} ")


def test_defaults_are_what_a_config_would_say(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    found = described(capsys, "task", "asr")
    wanted = {"data.train": "[train]", "data.cache_audio": "false", "train.ema_decay": "null", "objectives": "{ctc: ctc}"}
    assert all(found[key].startswith(f"{value} ") for key, value in wanted.items())


def test_an_option_tells_its_possible_values_once(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert "By take, or by speaker. One of official, leave_one_out." in described(capsys, "corpus", "fsdd")["split"]
    assert "One of" not in described(capsys, "encoder", "conformer")["subsampling"]
    assert described(capsys, "cmvn", "none")["It"] == "has no options."


def test_brackets_and_docstrings_are_for_people(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    las = described(capsys, "decoder")["las"]
    assert las.startswith("`s_u = LSTM(s_{u-1}, [y_{u-1}; c_{u-1}])`, `c_u = attention(s_u)`")
    assert plain("``max(0, x)`` of :class:`Thing`") == "`max(0, x)` of `Thing`"
