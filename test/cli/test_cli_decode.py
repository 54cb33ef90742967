from __future__ import annotations

from speechkit.cli.main import main


def test_another_set_and_search_can_be_asked_for(finished, capsys):
    argv = ["decode", str(finished / "exp"), "--set", "dev", "search.name=ctc_greedy", "--device", "cpu"]
    assert main(argv) == 0
    assert "decode/dev: " in capsys.readouterr().out and (finished / "exp" / "decode" / "dev" / "hyps.jsonl").exists()
