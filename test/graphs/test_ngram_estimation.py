"""Smoothing against counts done by hand, the formulas of the papers, and the sum to one that both promise."""

from __future__ import annotations

import collections
import math

import numpy as np
import pytest

from speechkit.graphs.ngram_estimation import estimate
from speechkit.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(7)
SOS = EOS = 6
SYMBOLS = range(1, 7)  # all but the blank


def sentences(count=60, seed=0):
    random = np.random.default_rng(seed)
    # Rare symbols and common ones, so that all counts of counts occur; symbol 1 never.
    lens = random.integers(0, 8, count)
    return [random.choice([2, 3, 4, 5], p=[0.55, 0.3, 0.12, 0.03], size=size).tolist() for size in lens]


def histories(model):
    """All histories that the model distinguishes, and one that it never saw."""
    for length in range(1, model.order):
        yield from (ngram for ngram in model.ngrams(length).tolist() if EOS not in ngram[1:])
    yield from ([], [1, 1, 1])


def counts_of(data, order, eos=EOS):
    counts = collections.Counter()
    for sentence in data:
        padded = [eos, *sentence, eos]
        for length in range(1, order + 1):
            first = 1 if length == 1 else 0  # <s> is never predicted
            counts.update(tuple(padded[i : i + length]) for i in range(first, len(padded) - length + 1))
    return counts


@pytest.mark.parametrize("smoothing", ["kneser_ney", "witten_bell"])
@pytest.mark.parametrize(("order", "min_counts"), [(1, []), (2, []), (3, [1, 1, 2]), (4, [1, 2]), (5, [])])
def test_after_every_history_the_probabilities_sum_to_one(smoothing, order, min_counts):
    model = estimate(sentences(), VOCABULARY, order, smoothing, min_counts)
    for history in histories(model):
        probs = [math.exp(model.log_prob(history, symbol)) for symbol in SYMBOLS]
        assert sum(probs) == pytest.approx(1.0, abs=1e-12) and min(probs) > 0
        assert model.log_prob(history, VOCABULARY.blank_id) == -math.inf


def test_witten_bell_is_the_formula_of_the_paper():
    data = sentences()
    counts, model = counts_of(data, 3), estimate(data, VOCABULARY, 3, "witten_bell")

    def expected(history, symbol):
        after = {w: counts[(*history, w)] for w in SYMBOLS if counts[(*history, w)]}
        lower = expected(history[1:], symbol) if history else 1 / 6
        return (after.get(symbol, 0) + len(after) * lower) / (sum(after.values()) + len(after)) if after else lower

    for history in histories(model):
        for symbol in SYMBOLS:
            assert math.exp(model.log_prob(history, symbol)) == pytest.approx(expected(tuple(history[-2:]), symbol), rel=1e-12)


def test_kneser_ney_is_the_formula_of_the_paper(capsys):
    random, symbols = np.random.default_rng(6), range(1, 17)
    share = 1 / np.arange(1, 16) ** 1.5
    data = [random.choice(range(1, 16), p=share / share.sum(), size=size).tolist() for size in random.integers(0, 6, 100)]
    counts, model = counts_of(data, 3, eos=16), estimate(data, Vocabulary(17), 3)
    assert not capsys.readouterr().err  # the discounts of all lengths were found
    adjusted = {n: {} for n in (1, 2, 3)}
    for ngram, count in counts.items():
        before = sum((x, *ngram) in counts for x in symbols)
        adjusted[len(ngram)][ngram] = count if len(ngram) == 3 or (len(ngram) == 2 and ngram[0] == 16) else before
    discounts = {n: chen_goodman(list(adjusted[n].values())) for n in (1, 2, 3)}

    def expected(history, symbol):
        lower = expected(history[1:], symbol) if history else 1 / 16
        after = {w: adjusted[len(history) + 1].get((*history, w)) for w in symbols}
        after = {w: count for w, count in after.items() if count}
        if not after:
            return lower
        taken = {w: discounts[len(history) + 1][min(count, 3)] for w, count in after.items()}
        own = after[symbol] - taken[symbol] if symbol in after else 0
        return (own + sum(taken.values()) * lower) / sum(after.values())

    for history in ([], [1], [2], [1, 1], [2, 1], [16], [16, 1], [16, 3], [7, 7]):
        for symbol in symbols:
            assert math.exp(model.log_prob(history, symbol)) == pytest.approx(expected(tuple(history), symbol), rel=1e-12)


def chen_goodman(counts):
    n1, n2, n3, n4 = (counts.count(k) for k in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    return [0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]


def test_rare_ngrams_are_cut_off_and_symbols_never_seen_keep_a_share():
    data = sentences()
    counts, model = counts_of(data, 3), estimate(data, VOCABULARY, 3, "witten_bell", [1, 2, 3])
    for length, minimum in ((2, 2), (3, 3)):
        kept = {ngram for ngram, count in counts.items() if len(ngram) == length and count >= minimum}
        assert {*map(tuple, model.ngrams(length).tolist())} == kept
    assert model.ngrams(1)[:, 0].tolist() == [*SYMBOLS]
    assert model.log_prob([2], 1) < model.log_prob([2], 5) < model.log_prob([2], 2)


def test_discounts_that_cannot_be_found_are_a_warning_or_an_error(capsys):
    estimate([[2, 2, 3]], VOCABULARY, 2)
    assert "Kneser-Ney: 2-grams with counts 1, 2, 3, 4: 4, 0, 0, 0, which gives no discounts" in capsys.readouterr().err
    with pytest.raises(ValueError, match="smooth by witten_bell, or give a discount_fallback"):
        estimate([[2, 2, 3]], VOCABULARY, 2, discount_fallback=None)


def test_every_warning_of_discounts_has_a_remedy(capsys):
    estimate([[2, 2, 3]], VOCABULARY, 2)  # no 2-gram twice
    estimate([[2, 2, 3], [2, 2]], VOCABULARY, 2)
    warnings = capsys.readouterr().err.splitlines()
    assert any("discounts are 0.5, 1.0, 1.5; take" in line for line in warnings)
    assert any("all counts are discounted by" in line for line in warnings)
    assert all(line.endswith("; take the smoothing witten_bell, which needs none, or more text") for line in warnings)


@pytest.mark.parametrize("wrong", [0, 6, 7, -1])
def test_symbols_that_are_none_are_an_error_that_names_the_sentence(wrong):
    with pytest.raises(ValueError, match=rf"expected symbols in 0 .. 5 other than the blank 0, got {wrong} in sentence 2"):
        estimate([[2], [], [3, wrong]], VOCABULARY, 2)


def test_options_that_make_no_sense_are_errors():
    with pytest.raises(ValueError, match="expected sentences to learn from, got none"):
        estimate([], VOCABULARY, 2)
    with pytest.raises(ValueError, match="order: expected 1 or more, got 0"):
        estimate([[2]], VOCABULARY, 0)
    for wrong in ([2, 1], [1, 1, 1], [0]):
        with pytest.raises(ValueError, match="min_counts: expected at most 2 counts of 1 or more that do not fall"):
            estimate([[2]], VOCABULARY, 2, min_counts=wrong)
