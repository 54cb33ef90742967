"""What CTC-CRF and LF-MMI share: their n-gram model, their files, and errors."""

from __future__ import annotations

import math

import pytest
import torch

from speechkit.config import ConfigError, validate
from speechkit.data.batch import Targets
from speechkit.graphs.graph import Graph
from speechkit.graphs.ngram_estimation import estimate
from speechkit.objectives.ctc_crf import CtcCrfObjective
from speechkit.objectives.denominator import ARPA, GRAPH, SEARCH_GRAPH, NGramConfig
from speechkit.text.vocabulary import Vocabulary

TRANSCRIPTS = [[1, 2, 3], [2, 2, 1, 3], [3], [], [1, 2], [2, 3, 1, 2]]


def build(folder, size=5, **options):
    objective = CtcCrfObjective.Config(**options).build(vocabulary=Vocabulary(size))
    objective.fit(TRANSCRIPTS, folder)
    objective.load(folder)
    return objective


def targets(*rows):
    tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(row, dtype=torch.int64) for row in rows], batch_first=True)
    return Targets(tokens, torch.tensor([len(row) for row in rows]))


def test_path_weights_are_those_of_the_ngram_model(tmp_path):
    objective = build(tmp_path, ngram=NGramConfig(order=3))
    model = estimate(TRANSCRIPTS, Vocabulary(5), 3, "witten_bell")
    rows = [[1, 2, 3, 1], [], [2, 2], [3, 3, 3, 3, 3]]
    expected = [model.sentence_log_prob(row) for row in rows]
    assert objective.path_weights(targets(*rows)).tolist() == pytest.approx(expected, abs=1e-9)
    assert objective.path_weights(targets([])).tolist() == pytest.approx(expected[1:2], abs=1e-9)


def test_options_of_the_ngram_model_reach_it(tmp_path):
    sizes = {}
    for name, options in {
        "order 1": {"order": 1},
        "order 2": {"order": 2},
        "fewer": {"order": 2, "min_counts": [1, 2]},
        "pruned": {"order": 2, "prune": 0.05},
        "smoothed otherwise": {"order": 2, "smoothing": "kneser_ney"},
    }.items():
        sizes[name] = len(build(tmp_path / name, ngram=NGramConfig(**options)).model.symbols)
    assert sizes["order 1"] < sizes["pruned"] < sizes["order 2"] == sizes["smoothed otherwise"]
    assert sizes["fewer"] < sizes["order 2"]
    seen = build(tmp_path / "seen", path_weight=False, ngram=NGramConfig(order=3, seen_only=True)).total_score.graph
    assert seen.num_arcs < build(tmp_path / "all").total_score.graph.num_arcs


def test_an_arpa_file_of_token_ids_can_take_the_place_of_the_transcripts(tmp_path):
    first = build(tmp_path / "first")
    second = CtcCrfObjective.Config(ngram=NGramConfig(arpa=str(tmp_path / "first" / ARPA))).build(vocabulary=Vocabulary(5))
    second.fit([], tmp_path / "second")
    second.load(tmp_path / "second")
    assert (tmp_path / "first" / ARPA).read_bytes() == (tmp_path / "second" / ARPA).read_bytes()
    assert first.total_score.graph.num_arcs == second.total_score.graph.num_arcs


def test_an_arpa_file_that_is_not_there_says_what_to_take(tmp_path):
    objective = CtcCrfObjective.Config(ngram=NGramConfig(arpa="ids.arpa")).build(vocabulary=Vocabulary(5))
    with pytest.raises(ValueError, match="^ids.arpa: expected an ARPA file over token ids, found nothing in .*; ngram.arpa: take"):
        objective.fit([], tmp_path)


def test_a_token_that_the_arpa_file_lacks_is_named(tmp_path):
    arpa = tmp_path / "lm.arpa"
    arpa.write_text("\\data\\\nngram 1=3\n\n\\1-grams:\n-99 <s>\n-0.5 </s>\n-0.3 1\n\n\\end\\\n")
    objective = CtcCrfObjective.Config(ngram=NGramConfig(arpa=str(arpa))).build(vocabulary=Vocabulary(5))
    objective.fit([], tmp_path / "folder")
    objective.load(tmp_path / "folder")
    facts = torch.zeros(2, 4, 5), torch.tensor([4, 4]), targets([1], [1, 2])
    with pytest.raises(ValueError, match="utterance 1 .* got token 2 at place 1; .* path_weight: false"):
        objective(lambda scores: scores.log_softmax(-1), *facts)
    arpa.write_text(arpa.read_text().replace("-0.3 1\n", "-0.3 9\n"))
    with pytest.raises(ValueError, match=rf"{arpa}:7: expected words that are symbols of the model, got '9'"):
        objective.fit([], tmp_path / "folder")


def test_the_files_of_another_vocabulary_and_missing_ones_are_refused(tmp_path):
    build(tmp_path, size=7)
    for size, got in ((6, "'5', which none of its 6 symbols is"), (8, "without token 6; train with the tokenizer")):
        with pytest.raises(ValueError, match=got):
            CtcCrfObjective.Config().build(vocabulary=Vocabulary(size)).load(tmp_path)
    (tmp_path / GRAPH).unlink()
    with pytest.raises(ValueError, match=f"{GRAPH}: expected a graph"):
        CtcCrfObjective.Config().build(vocabulary=Vocabulary(7)).load(tmp_path)


@pytest.mark.parametrize("name", [GRAPH, SEARCH_GRAPH, ARPA])
def test_a_file_that_training_began_with_and_that_is_gone_is_named_with_what_to_do(tmp_path, name):
    build(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=f"{name}: expected an? .* that training began with, .*; restore it .* --exp$"):
        CtcCrfObjective.Config().build(vocabulary=Vocabulary(5)).load(tmp_path)


def test_a_loss_before_the_graph_is_loaded_is_an_error():
    objective = CtcCrfObjective.Config().build(vocabulary=Vocabulary(5))
    with pytest.raises(ValueError, match="ctc_crf: expected the denominator graph to be loaded"):
        objective(lambda scores: scores, torch.zeros(1, 4, 5), torch.tensor([4]), targets([1]))


def test_impossible_sequences_have_no_path_weight():
    with pytest.raises(ConfigError, match="path_weight: expected false with ngram.seen_only"):
        validate(CtcCrfObjective.Config, {"name": "ctc_crf", "ngram": {"seen_only": True}})


def test_utterances_shorter_than_all_that_the_graph_accepts_learn_nothing(tmp_path):
    objective = CtcCrfObjective.Config(path_weight=False, ngram=NGramConfig(seen_only=True)).build(vocabulary=Vocabulary(5))
    objective.fit([[1, 2, 3], [1, 2, 3]], tmp_path)
    objective.load(tmp_path)
    facts = torch.tensor([2, 3]), targets([1], [1, 2, 3])
    assert objective.alignable(*facts).tolist() == [False, True]
    scores = torch.randn(2, 3, 5, requires_grad=True)
    loss = objective(lambda scores: scores.log_softmax(-1), scores, *facts)
    (grad,) = torch.autograd.grad(loss.sum(), scores)
    assert loss[0] == 0 and grad[0].eq(0).all() and grad[1].ne(0).any()


def test_a_network_that_gives_nan_is_not_hidden(tmp_path):
    objective = build(tmp_path)
    scores = torch.randn(2, 4, 5)
    scores[1, 2, 2] = math.nan
    loss = objective(lambda scores: scores, scores, torch.tensor([4, 4]), targets([1], [1]))
    assert loss.isnan().tolist() == [False, True]


def test_the_graph_follows_the_config(tmp_path):
    build(tmp_path, ngram=NGramConfig(order=2))
    assert Graph.load(tmp_path / GRAPH).num_classes == 4  # the last id is no label
