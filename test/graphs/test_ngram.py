"""The n-gram model's own arithmetic, on a model small enough to write down."""

from __future__ import annotations

import math

import numpy as np
import pytest

from speechkit.graphs.ngram import NGram
from speechkit.text.vocabulary import Vocabulary

SOS = EOS = 4
A, B, C = 1, 2, 3
# 1-grams: a .4, b .3, c .1, </s> .2; backoff of a .5, of b 1, of <s> .6 | 2-grams: a a .1, a b .6, b c .5, <s> b .7,
# b </s> .2 | 3-grams: a b c .8, <s> b a .3; backoffs of a b .25, of <s> b .9
PROBS = [1, 0.4, 0.3, 0.1, 0.2, 0.1, 0.6, 0.5, 0.2, 0.7, 0.8, 0.3]
BACKOFFS = [1, 0.5, 1, 1, 0.6, 1, 0.25, 1, 1, 0.9, 1, 1]


@pytest.fixture
def model():
    prefixes = [-1, 0, 0, 0, 0, 1, 1, 2, 2, 4, 6, 9]
    symbols = [-1, A, B, C, EOS, A, B, C, EOS, B, C, A]
    arrays = (np.array([0, 1, 5, 10, 12]), np.array(prefixes), np.array(symbols), np.log(PROBS), np.log(BACKOFFS))
    return NGram(Vocabulary(5), *arrays)


@pytest.mark.parametrize(
    ("history", "symbol", "expected"),
    [
        ([], A, 0.4),
        ([A, B], C, 0.8),
        ([C, C, A, B], C, 0.8),  # only the last two count
        ([A, B], EOS, 0.25 * 0.2),
        ([A, B], A, 0.25 * 1 * 0.4),  # over two backoffs
        ([SOS, B], A, 0.3),
        ([SOS, B], C, 0.9 * 0.5),
        ([SOS], B, 0.7),
        ([SOS], C, 0.6 * 0.1),
        ([SOS, A], B, 0.6),  # <s> a is in no n-gram: as after a
        ([C], A, 0.4),
        ([A, A], B, 0.6),
        ([A], EOS, 0.5 * 0.2),
    ],
)
def test_the_longest_ngram_decides_and_backoffs_are_paid(model, history, symbol, expected):
    assert math.exp(model.log_prob(history, symbol)) == pytest.approx(expected, rel=1e-12)


def test_a_sentence_begins_and_ends(model):
    assert math.exp(model.sentence_log_prob([B, A, B, C])) == pytest.approx(0.7 * 0.3 * 0.6 * 0.8 * 0.2, rel=1e-12)
    assert math.exp(model.sentence_log_prob([])) == pytest.approx(0.6 * 0.2, rel=1e-12)
    assert model.perplexity([[B], []]) == pytest.approx((0.7 * 0.9 * 0.2 * 0.6 * 0.2) ** (-1 / 3), rel=1e-12)
    with pytest.raises(ValueError, match="expected at least one sentence"):
        model.perplexity([])


def test_ngrams_are_listed_by_length(model):
    assert model.order == 3
    assert model.ngrams(3).tolist() == [[A, B, C], [SOS, B, A]]
    assert model.ngrams(2).tolist() == [[A, A], [A, B], [B, C], [B, EOS], [SOS, B]]


def test_the_automaton_has_a_state_per_history_and_an_arc_per_ngram(model):
    graph = model.graph
    assert graph.num_states == 6  # empty, a, b, <s>, a b, <s> b; c and a a are histories of nothing
    assert len(graph.arc_symbols) == len(model.symbols) - 1 - 2  # two n-grams end in </s>
    assert graph.start == model.state([SOS]) == 3
    assert graph.backoff_states.tolist() == [-1, 0, 0, 0, 2, 2]
    assert np.exp(graph.backoff_weights) == pytest.approx([1, 0.5, 1, 0.6, 0.25, 0.9])
    assert np.exp(graph.final_weights) == pytest.approx([0.2, 0, 0.2, 0, 0, 0])
    assert [model.state(history) for history in ([B, C], [C, A], [C, A, A], [B, A, B])] == [0, 1, 1, 4]
