"""Entropy pruning against the relative entropy itself, computed over all histories, and the sums to one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from speechkit.graphs.ngram_estimation import estimate
from speechkit.graphs.ngram_pruning import prune
from speechkit.text.vocabulary import Vocabulary

EOS = 5
SYMBOLS = range(1, 6)
every_way = pytest.mark.parametrize("keep", ["probabilities", "interpolation"])


def model(order=3, smoothing="witten_bell"):
    random = np.random.default_rng(3)
    data = [random.choice([1, 2, 3, 4], p=[0.5, 0.3, 0.15, 0.05], size=size).tolist() for size in random.integers(0, 7, 40)]
    return estimate(data, Vocabulary(6), order, smoothing)


def conditional(model, history):
    return np.exp([model.log_prob(history, symbol) for symbol in SYMBOLS])


@every_way
@pytest.mark.parametrize("smoothing", ["witten_bell", "kneser_ney"])
@pytest.mark.parametrize("threshold", [0.0, 1e-3, 5e-3, 1.0])
def test_after_every_history_the_probabilities_still_sum_to_one(smoothing, threshold, keep):
    pruned = prune(model(4, smoothing), threshold, keep)
    for length in range(4):
        for history in itertools.product(SYMBOLS, repeat=length):
            if EOS not in history[1:]:
                assert conditional(pruned, history).sum() == pytest.approx(1.0, abs=1e-11)


def test_what_stays_keeps_its_probability_or_the_model_stays_interpolated():
    full = model()
    kept, interpolated = prune(full, 5e-3), prune(full, 5e-3, "interpolation")
    for length in (1, 2, 3):
        assert kept.ngrams(length).tolist() == interpolated.ngrams(length).tolist()
        for *history, symbol in kept.ngrams(length).tolist():
            assert kept.log_prob(history, symbol) == pytest.approx(full.log_prob(history, symbol), rel=1e-12)
    interpolated.graph.interpolated()
    with pytest.raises(ValueError, match="expected interpolated smoothing"):
        kept.graph.interpolated()
    with pytest.raises(ValueError, match="expected an interpolated one"):
        prune(kept, 1e-2, "interpolation")


def test_the_longest_ngrams_go_by_the_relative_entropy_of_the_models_with_and_without_each():
    full, threshold = model(), 2e-3
    nodes = np.arange(full.level_offsets[3], full.level_offsets[4])
    stays = set()
    for node, (*history, symbol) in zip(nodes.tolist(), full.ngrams(3).tolist()):
        p = conditional(full, history)
        explicit = np.array([full.find(full.prefixes[[node]], np.array([w]))[0] for w in SYMBOLS])
        left = (explicit >= 0) & (explicit != node)
        lower = conditional(full, history[1:])
        q = np.where(left, p, lower * (1 - p[left].sum()) / (1 - lower[left].sum()))
        first = 1.0 if history[0] == EOS else math.exp(full.log_prob([], history[0]))
        weight = first * math.exp(full.log_prob(history[:1], history[1]))
        if math.expm1(weight * (p * np.log(p / q)).sum()) >= threshold:
            stays.add((*history, symbol))
    assert {*map(tuple, prune(full, threshold).ngrams(3).tolist())} == stays
    assert 0 < len(stays) < len(nodes)


@every_way
def test_more_is_left_out_the_higher_the_threshold_down_to_the_unigrams(keep):
    sizes = [len(prune(model(4), threshold, keep).symbols) for threshold in (0.0, 1e-3, 1e-2, 1.0)]
    assert sizes == sorted(sizes, reverse=True) and len({*sizes}) == 4
    assert prune(model(4), 1.0, keep).order == 1


def test_a_threshold_below_zero_is_an_error():
    with pytest.raises(ValueError, match="threshold: expected 0 or more, got -1"):
        prune(model(), -1.0)
