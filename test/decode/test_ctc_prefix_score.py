"""CTC prefix scores against enumeration of all paths and the objective."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import torch

from speechkit.data.batch import Targets
from speechkit.decode.ctc_prefix_score import CtcPrefixScorer
from speechkit.objectives.ctc import CtcObjective
from speechkit.text.vocabulary import Vocabulary

S, V = 5, 4
LENS = torch.tensor([5, 3, 0])


def random_log_probs(scale=1.0):
    return (scale * torch.randn(3, S, V, dtype=torch.float64)).log_softmax(-1)


def probability_of_all(log_probs, blank_id=0):
    """Each spelling's probability, by enumeration of all paths."""
    found = defaultdict(float)
    for path in itertools.product(range(V), repeat=len(log_probs)):
        spelled = tuple(token for token, _ in itertools.groupby(path) if token != blank_id)
        found[spelled] += math.exp(sum(log_probs[t, k].item() for t, k in enumerate(path)))
    return found


def grow(scorer, prefixes, *tokens):
    for token in tokens:
        rows = np.arange(len(prefixes.last))
        prefixes = scorer.advance(prefixes, rows, np.full(len(rows), token))
    return prefixes


@pytest.mark.parametrize("blank_id", [0, 2])
def test_prefix_and_whole_probabilities_equal_enumeration_of_all_paths(blank_id):
    log_probs = random_log_probs()
    scorer = CtcPrefixScorer(log_probs, LENS, blank_id)
    tokens = [token for token in range(V) if token != blank_id]
    for sentence in (s for length in range(4) for s in itertools.product(tokens, repeat=length)):
        prefixes = grow(scorer, scorer.start(), *sentence)
        ends, extensions = scorer.ends(prefixes), scorer.extensions(prefixes, np.tile(tokens, (3, 1)))
        for b, length in enumerate(LENS.tolist()):
            exact = probability_of_all(log_probs[b, :length], blank_id)
            assert math.exp(ends[b]) == pytest.approx(exact.get(sentence, 0.0), abs=1e-12)
            for k, token in enumerate(tokens):
                begins = sum(p for spelled, p in exact.items() if spelled[: len(sentence) + 1] == (*sentence, token))
                assert math.exp(extensions[b, k]) == pytest.approx(begins, abs=1e-12)


def test_a_prefix_is_the_whole_or_goes_on():
    scorer = CtcPrefixScorer(random_log_probs(scale=3.0), LENS)
    tokens = np.tile(np.arange(1, V), (3, 1))
    before, prefixes = np.zeros(3), scorer.start()
    for token in (2, 2, 1):
        extensions = scorer.extensions(prefixes, tokens)
        np.testing.assert_allclose(np.exp(before), np.exp(scorer.ends(prefixes)) + np.exp(extensions).sum(1), rtol=1e-10)
        before, prefixes = extensions[:, token - 1], grow(scorer, prefixes, token)


def test_the_whole_probability_is_that_of_the_objective():
    log_probs, lens = (3 * torch.randn(2, 67, 11, dtype=torch.float64)).log_softmax(-1), torch.tensor([67, 41])
    tokens = torch.randint(1, 11, (2, 13))
    scorer = CtcPrefixScorer(log_probs, lens)
    prefixes = scorer.start()
    for column in tokens.T:
        prefixes = scorer.advance(prefixes, np.arange(2), column.numpy())
    objective = CtcObjective.Config().build(vocabulary=Vocabulary(11))
    loss = objective(lambda x: x, log_probs, lens, Targets(tokens, torch.tensor([13, 13])))
    np.testing.assert_allclose(scorer.ends(prefixes), -loss.numpy(), rtol=1e-10)


def test_rows_in_any_order_score_as_alone():
    scorer = CtcPrefixScorer(random_log_probs(), LENS)
    prefixes = scorer.advance(scorer.start(), np.array([1, 0, 1, 0]), np.array([1, 1, 2, 3]))
    prefixes = scorer.advance(prefixes, np.array([3, 2, 2, 0, 1]), np.array([3, 2, 1, 3, 1]))
    assert prefixes.utterances.tolist() == [0, 1, 1, 1, 0]
    asked = np.array([[1, 2], [2, 3], [3, 1], [1, 1], [2, 3]])
    found = scorer.extensions(prefixes, asked)
    for n, (b, sentence) in enumerate([(0, (3, 3)), (1, (2, 2)), (1, (2, 1)), (1, (1, 3)), (0, (1, 1))]):
        alone = grow(scorer, scorer.advance(scorer.start(), np.array([b]), np.array([sentence[0]])), sentence[1])
        np.testing.assert_allclose(found[n], scorer.extensions(alone, asked[n : n + 1])[0], rtol=1e-12)


def test_padding_is_never_read():
    log_probs = random_log_probs()
    noisy = log_probs.clone()
    for b, length in enumerate(LENS):
        noisy[b, length:] = math.nan
    clean, other = CtcPrefixScorer(log_probs, LENS), CtcPrefixScorer(noisy, LENS)
    tokens = np.tile(np.arange(1, V), (3, 1))
    for sentence in ((), (1,), (1, 1)):
        a, b = grow(clean, clean.start(), *sentence), grow(other, other.start(), *sentence)
        assert np.array_equal(clean.extensions(a, tokens), other.extensions(b, tokens))
        assert np.array_equal(clean.ends(a), other.ends(b))


def test_probabilities_too_small_for_a_product_are_still_scored():
    # Of this utterance only the first frame may be the prefix's, and the next token has e^-900 everywhere else.
    log_probs = torch.tensor([[[-900.0, 0.0, -900.0], [0.0, -900.0, -900.0], [0.0, -900.0, -900.0]]], dtype=torch.float64)
    scorer = CtcPrefixScorer(log_probs, torch.tensor([3]))
    (found,) = scorer.extensions(grow(scorer, scorer.start(), 1), np.array([[2, 1]]))
    assert found[0] == pytest.approx(-900 + math.log(2), rel=1e-12) and found[1] == pytest.approx(-900.0, rel=1e-12)
    impossible = CtcPrefixScorer(torch.tensor([[[0.0, -math.inf]]]), torch.tensor([1]))
    assert impossible.extensions(impossible.start(), np.array([[1]]))[0, 0] == -math.inf


def test_half_precision_is_summed_in_double():
    log_probs = random_log_probs().bfloat16()
    half, exact = CtcPrefixScorer(log_probs, LENS), CtcPrefixScorer(log_probs.double(), LENS)
    np.testing.assert_allclose(half.ends(grow(half, half.start(), 1)), exact.ends(grow(exact, exact.start(), 1)), rtol=1e-6)
