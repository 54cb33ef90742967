"""speechkit graph."""

from __future__ import annotations

import tiny

from speechkit.cli.main import main
from speechkit.objectives.base import Objective


def test_a_graph_of_a_config_lies_beside_its_manifests_or_where_one_says(tmp_path, capsys) -> None:
    conf = str(tiny.write_corpus(tmp_path))
    assert main(["graph", conf, "--order", "2"]) == 0
    assert (tmp_path / "data/graph/TLG.fst").exists()
    assert main(["graph", conf, "--to", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there/TLG.fst").exists()
    assert "2 words" in capsys.readouterr().out


def test_a_graph_without_blanks_is_for_objectives_of_ones_own(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(Objective, "registry", dict(Objective.registry))
    conf, own = str(tiny.write_corpus(tmp_path)), tmp_path / "own.py"
    assert main(["graph", conf, "--topology", "hmm"]) == 1
    assert "topology: expected ctc, since the frames of ctc may be blank, got hmm" in capsys.readouterr().err
    assert not (tmp_path / "data/graph").exists()
    own.write_text('from speechkit.objectives.ctc import CtcObjective\nclass Own(CtcObjective, name="own_frames"): ...\n')
    objectives = ["objectives.ctc=null", "objectives.own.name=own_frames"]
    assert main(["graph", conf, *objectives, "--topology", "hmm", "--import", str(own)]) == 0
    assert (tmp_path / "data/graph/HLG.fst").exists()


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
