"""Denominator graphs against the n-gram model and all paths, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graph_cases import NEVER, labellings, log_sum, spellings

from speechkit.graphs import denominator
from speechkit.graphs.arpa import read_arpa
from speechkit.graphs.denominator import denominator_graph
from speechkit.graphs.forward_backward import TotalScore
from speechkit.graphs.label_graph import TOPOLOGIES
from speechkit.graphs.ngram_estimation import estimate
from speechkit.text.vocabulary import Vocabulary

V, FRAMES = 5, 4
every_topology = pytest.mark.parametrize("name", TOPOLOGIES)


def sentences():
    random = np.random.default_rng(0)
    return [random.choice([1, 2, 2, 3], size=length).tolist() for length in (0, 1, 2, 3, 4, 5) * 4]


def frames():
    return torch.randn(1, FRAMES, V, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def total(graph):
    return TotalScore(graph)(frames(), torch.tensor([FRAMES])).item()


def expected(topology, log_prob, num_labels=V - 1):
    """Over all labels but that of the sentence's end, which no transcript has."""
    scores, known = [], {}
    for path in labellings(FRAMES, num_labels):
        score = sum(float(frames()[0, t, label]) for t, label in enumerate(path))
        for tokens in spellings(path, topology):
            if tokens not in known:
                known[tokens] = log_prob(tokens)
            scores.append(score + known[tokens])
    return log_sum(scores)


@every_topology
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("min_counts", [(), (1, 2)])
def test_a_path_has_the_probability_of_what_it_spells(name, order, min_counts):
    model = estimate(sentences(), Vocabulary(V), order, "witten_bell", min_counts[:order])
    graph = denominator_graph(model, TOPOLOGIES[name])
    assert total(graph) == pytest.approx(expected(TOPOLOGIES[name], model.sentence_log_prob), abs=1e-10)


@every_topology
@pytest.mark.parametrize("order", [1, 3])
def test_without_backoff_only_what_was_seen_is_possible(name, order):
    model = estimate(sentences(), Vocabulary(V), order, "witten_bell")
    rows = {}
    for length in range(1, order + 1):
        for ngram, log_prob in zip(model.ngrams(length).tolist(), model.log_probs[model.level(length)]):
            rows.setdefault(tuple(ngram[:-1]), {})[ngram[-1]] = np.exp(log_prob)

    def log_prob(tokens):
        score, history = 0.0, (V - 1,)
        for token in (*tokens, V - 1):
            history = history[-(order - 1) :] if order > 1 else ()
            while history not in rows:
                history = history[1:]
            row = rows[history]
            if token not in row:
                return NEVER
            score += np.log(row[token] / sum(row.values()))
            history = (*history, token)
        return score

    graph = denominator_graph(model, TOPOLOGIES[name], seen_only=True)
    assert total(graph) == pytest.approx(expected(TOPOLOGIES[name], log_prob), abs=1e-10)
    assert (graph.labels >= 0).all() or order > 0


ARPA = """\\data\\
ngram 1=4
ngram 2=3
ngram 3=2

\\1-grams:
-99 <s> -0.2
-0.5 </s>
-0.4 1 -0.1
-0.6 2

\\2-grams:
-0.1 <s> 1 -0.3
-1.5 1 2 0.1
-0.9 1 1 -0.05

\\3-grams:
-2.0 <s> 1 1
-0.1 1 1 1

\\end\\
"""


@every_topology
def test_a_model_that_is_no_interpolation_is_spread_out(name, tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    model = read_arpa(path, ["<blank>", "1", "2", "3", "</s>"], Vocabulary(V))
    with pytest.raises(ValueError, match="interpolated"):
        model.graph.interpolated()
    graph = denominator_graph(model, TOPOLOGIES[name])
    assert total(graph) == pytest.approx(expected(TOPOLOGIES[name], model.sentence_log_prob, 3), abs=1e-10)


@every_topology
def test_with_probabilities_of_one_for_everything_that_can_be_said_the_frames_sum_to_one(name):
    model = estimate(sentences(), Vocabulary(V), 2, "witten_bell")
    graph = denominator_graph(model, TOPOLOGIES[name])
    log_probs = frames().log_softmax(-1)
    assert TotalScore(graph)(log_probs, torch.tensor([FRAMES])).item() < 0.0


def test_the_longest_ngrams_are_one_arc_each():
    random = np.random.default_rng(0)
    vocabulary = Vocabulary(30)
    text = [random.zipf(1.4, 20).clip(1, 28).tolist() for _ in range(300)]
    model = estimate(text, vocabulary, 3, "witten_bell")
    graph = denominator_graph(model, TOPOLOGIES["ctc"])
    lengths = [model.level(n).stop - model.level(n).start for n in (1, 2, 3)]
    states = model.graph.num_states
    assert graph.num_arcs < lengths[2] + 30 * 31 + 8 * states
    assert denominator_graph(model, TOPOLOGIES["ctc"], seen_only=True).num_arcs < lengths[2] + lengths[1] + 30 + 6 * states


def test_a_graph_that_would_be_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(denominator, "LARGEST", 10)
    model = estimate(sentences(), Vocabulary(V), 3, "witten_bell")
    with pytest.raises(ValueError, match="expected at most 10 arcs, got .* histories .*; lower the order"):
        denominator_graph(model, TOPOLOGIES["ctc"])
