from __future__ import annotations

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
