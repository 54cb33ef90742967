"""speechkit graph."""

from __future__ import annotations

import tiny

from speechkit.cli.main import main


def test_a_graph_of_a_config_lies_beside_its_manifests_or_where_one_says(tmp_path, capsys) -> None:
    conf = str(tiny.write_corpus(tmp_path))
    assert main(["graph", conf, "--order", "2"]) == 0
    assert (tmp_path / "data/graph/TLG.fst").exists()
    assert main(["graph", conf, "--to", str(tmp_path / "there"), "--topology", "hmm"]) == 0
    assert (tmp_path / "there/HLG.fst").exists()
    captured = capsys.readouterr()
    assert "2 words" in captured.out and "warning: topology hmm: no blank is in the graph" in captured.err


def test_a_graph_of_a_model_lies_in_it(finished, capsys) -> None:
    assert main(["graph", str(finished / "exp"), "--order", "1"]) == 0
    assert (finished / "exp/graph/graph.json").exists()
    assert main(["decode", str(finished / "exp"), "--set", "dev", "search=wfst", "search.graph=graph"]) == 0


def test_a_config_without_anything_to_search_through_a_graph_is_refused(tmp_path, capsys) -> None:
    hmm = ["objectives.ctc=null", "objectives.hmm.name=hmm", "--topology", "hmm"]
    assert main(["graph", str(tiny.write_corpus(tmp_path)), *hmm]) == 1
    assert "error: objectives: expected one that the search wfst can read through a graph (ctc, ctc_crf" in capsys.readouterr().err
    assert not (tmp_path / "data/graph").exists()


def test_what_cannot_be_is_said_in_a_line(tmp_path, capsys) -> None:
    conf = str(tiny.write_corpus(tmp_path))
    assert main(["graph", conf, "--lexicon", str(tmp_path / "none.txt")]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("speechkit graph: error: ")
    assert main(["graph", conf, "--order", "0"]) == 1
    assert "order: expected 1 or more, got 0" in capsys.readouterr().err
