from __future__ import annotations

from speechkit.cli.main import main


def test_it_says_what_was_averaged(finished, capsys):
    assert main(["average", str(finished / "exp")]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{finished}/exp/averaged.safetensors: the mean of step-") and out.count("step-") == 2
