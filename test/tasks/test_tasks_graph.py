"""Decoding graphs of an experiment."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import tiny

from speechkit.objectives.base import Objective
from speechkit.objectives.ctc import CtcObjective
from speechkit.objectives.hmm import HmmObjective
from speechkit.objectives.lf_mmi import LfMmiObjective
from speechkit.tasks import load as load_model
from speechkit.tasks.asr import get_tokenizer
from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import decode
from speechkit.tasks.graph import GraphOptions, build_graph, check_searchable, report


@pytest.fixture
def made(tmp_path):
    config = load_config(tiny.write_corpus(tmp_path))
    return config, get_tokenizer(config), tmp_path


def test_a_graph_of_the_training_transcripts_says_what_it_was_made_of(made) -> None:
    config, tokenizer, folder = made
    facts = build_graph(config, tokenizer, GraphOptions(order=2), folder / "graph")
    assert json.loads((folder / "graph/graph.json").read_text()) == facts
    assert facts["words"] == 2 and facts["order"] == 2 and facts["sources"]["text"]["sentences"] == 30
    assert facts["sources"]["unseen"]["test"]["unseen"] == 0
    assert report(facts)[-1].startswith("test: 0 of ") and report(facts)[0].startswith("2 words, 5 1-grams")
    assert "ngram 1=5\n" in (folder / "graph/lm.arpa").read_text()


def test_a_trained_model_is_decoded_through_its_graph(trained, tmp_path) -> None:
    exp = shutil.copytree(trained, tmp_path / "exp")
    build_graph(load_config(exp / "config.yaml"), load_model(exp).tokenizer, GraphOptions(order=1), exp / "graph")
    (folder,) = decode(exp, ["test"], ["search=wfst", "search.graph=graph", "search.nbest=3"], "cpu")
    rows = [json.loads(line) for line in (folder / "hyps.jsonl").read_text().splitlines()]
    assert [row["hyp"] for row in rows] == [row["ref"] for row in rows]
    assert all(" ".join(word["word"] for word in row["words"]) == row["hyp"] for row in rows)


ARPA = "\\data\\\nngram 1=4\n\n\\1-grams:\n-1 low\n-1 hum\n-1 </s>\n-99 <s>\n\n\\end\\\n"


def test_words_without_a_spelling_are_named_or_dropped(made) -> None:
    config, tokenizer, folder = made
    arpa = folder / "lm.arpa"
    arpa.write_text(ARPA)
    with pytest.raises(ValueError, match="word tokenizer: expected a spelling .*, got none for 1 of them: 'hum'; add them, or"):
        build_graph(config, tokenizer, GraphOptions(arpa=arpa), folder / "graph")
    facts = build_graph(config, tokenizer, GraphOptions(arpa=arpa, missing="drop"), folder / "graph")
    assert facts["words"] == 1 and facts["sources"]["missing"] == 1 and facts["sources"]["text"] is None
    assert facts["sources"]["unseen"]["test"]["unseen"] > 0
    lexicon = folder / "lexicon.txt"
    lexicon.write_text("low low\n")
    facts = build_graph(config, tokenizer, GraphOptions(lexicon=lexicon, missing="drop"), folder / "graph")
    assert facts["words"] == 1 and facts["sources"]["missing"] == 1  # high


def test_what_no_search_can_read_through_a_graph_is_refused(made) -> None:
    config, tokenizer, folder = made
    searchable = {"lf_mmi with topology: ctc"}
    for name, each in Objective.registry.items():
        try:
            check_searchable({"any": each.Config()})
            searchable.add(name)
        except ValueError as error:
            assert re.search(rf"\(ctc, ctc_crf, gtc, or lf_mmi with topology: ctc\), got {name}; decode without", str(error))
    assert searchable == {"ctc", "ctc_crf", "gtc", "lf_mmi with topology: ctc"}
    check_searchable({"any": LfMmiObjective.Config(topology="ctc")})
    check_searchable({"mmi": LfMmiObjective.Config(), "ctc": CtcObjective.Config()})
    hmm = config.model_copy(update={"objectives": {"hmm": HmmObjective.Config()}})
    with pytest.raises(ValueError, match="expected one that the search wfst can read .*, got hmm"):
        build_graph(hmm, tokenizer, GraphOptions(topology="hmm"), folder / "graph")
    assert not (folder / "graph").exists()


def test_a_language_model_that_is_not_there_says_how_to_make_one(made) -> None:
    config, tokenizer, folder = made
    with pytest.raises(ValueError, match="^lm.arpa: expected an ARPA file, found nothing in .*; make one with `speechkit lm "):
        build_graph(config, tokenizer, GraphOptions(arpa=Path("lm.arpa")), folder / "graph")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("-1 low", "nan low", "lm.arpa:5: expected a finite log-probability"),
        ("ngram 1=4", "ngram 1=4\nngram 2=1", "lm.arpa"),
        ("-1 low\n-1 hum\n", "-1 <unk>\n", "lm.arpa"),
    ],
)
def test_unusable_language_models_are_named(made, old: str, new: str, problem: str) -> None:
    config, tokenizer, folder = made
    (folder / "lm.arpa").write_text(ARPA.replace(old, new))
    with pytest.raises(ValueError, match=problem):
        build_graph(config, tokenizer, GraphOptions(arpa=folder / "lm.arpa", missing="drop"), folder / "graph")
    assert not (folder / "graph").exists()
