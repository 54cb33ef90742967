"""Scorers over an automaton: look-ups of many states at once, on automata that need no files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechkit.decode.scorers.graph import GraphScorer
from speechkit.graphs.ngram_estimation import estimate
from speechkit.text.vocabulary import Vocabulary

V = 6


@pytest.fixture
def scorer():
    scorer = GraphScorer(GraphScorer.Config(), vocabulary=Vocabulary(V))
    scorer.model = estimate([[1, 2, 3], [3, 1], [2, 2, 1]], Vocabulary(V), 3, "witten_bell")
    scorer.graph, scorer.symbols, scorer.default = scorer.model.graph, np.arange(V), -50.0
    return scorer


def test_hypotheses_of_many_lengths_are_scored_by_their_own_history(scorer):
    state = scorer.start({}, 2)
    state = scorer.advance(state, torch.tensor([0, 1, 1]), torch.tensor([1, 0, 3]))  # 1 | nothing | 3
    state = scorer.advance(state, torch.tensor([2, 0, 0, 1]), torch.tensor([0, 2, 4, 0]))  # 3 | 1 2 | 1 4 | nothing
    for row, history in zip(scorer.score(state), ([5, 3], [5, 1, 2], [5, 1, 4], [5])):
        for symbol in range(1, V):
            assert row[symbol].item() == pytest.approx(scorer.model.log_prob(history, symbol), rel=1e-5)


def test_tokens_may_be_other_symbols_of_the_automaton(scorer):
    scorer.symbols = np.array([0, 1, 2, 3, 1, 5])  # 4 is read as 1
    state = scorer.start({}, 1)
    same, other = (scorer.advance(state, torch.tensor([0]), torch.tensor([token])) for token in (1, 4))
    assert torch.equal(same, other) and scorer.score(state)[0, 4] == scorer.score(state)[0, 1]
