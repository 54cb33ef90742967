from __future__ import annotations

import json

from speechkit.cli.main import main


def test_another_set_and_search_can_be_asked_for(finished, capsys):
    argv = ["decode", str(finished / "exp"), "--set", "dev", "search.name=ctc_greedy", "--device", "cpu"]
    assert main(argv) == 0
    assert "decode/dev: " in capsys.readouterr().out and (finished / "exp" / "decode" / "dev" / "hyps.jsonl").exists()


def test_options_are_tuned_on_the_development_set_before_the_test_set_is_decoded(finished, capsys):
    argv = ["decode", str(finished / "exp"), "--device", "cpu", "search.name=ctc_prefix_beam"]
    assert main([*argv, "--tune", "search.beam_size=1,3", "--tune-on", "dev"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(line.startswith("WER ") for line in lines[:2])
    facts = json.loads((finished / "exp" / "decode" / "test" / "decode.json").read_text())
    assert f"search.beam_size={facts['search']['beam_size']}" in lines[1]


def test_a_set_to_tune_on_needs_something_to_tune(finished, capsys):
    assert main(["decode", str(finished / "exp"), "--tune-on", "dev"]) == 1
    assert "expected --tune KEY=V,V" in capsys.readouterr().err
