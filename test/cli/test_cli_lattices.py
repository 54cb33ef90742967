"""speechkit lattices."""

from __future__ import annotations

from speechkit.cli.main import main


def test_lattices_are_written_and_counted(finished, capsys) -> None:
    exp = finished / "exp"
    assert main(["lattices", str(exp), "--set", "dev", "search=wfst", "search.graph=tokens"]) == 0
    assert capsys.readouterr().out == f"{exp}/decode/dev/lattices: 5 lattices\n"
    assert main(["lattices", str(exp), "search=wfst"]) == 1
    assert f"search.graph: expected the folder of a decoding graph, got null; run `speechkit graph {exp}`" in capsys.readouterr().err
    assert main(["lattices", str(exp), "search=ctc_greedy"]) == 1
    assert "expected wfst" in capsys.readouterr().err
