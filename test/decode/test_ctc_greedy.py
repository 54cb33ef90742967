from __future__ import annotations

import itertools
import math

import pytest
import torch

from speechkit.decode.ctc_greedy import CtcGreedySearch
from speechkit.text.vocabulary import Vocabulary

SEARCH = CtcGreedySearch.Config().build(vocabulary=Vocabulary(7))


def test_published_result_of_icefall():
    # k2-fsa/icefall, test/test_ctc_greedy_search.py: 7 and 6 frames of the same scores, blank first.
    best = torch.tensor([0, 0, 1, 1, 2, 0, 3])
    log_probs = (9 * torch.nn.functional.one_hot(best, 8) + torch.tensor([1.0, 1, 2, 1, 1, 3, 2, 3])).log_softmax(-1)
    hypotheses = SEARCH(log_probs.expand(2, 7, 8), torch.tensor([7, 6]))
    assert [h[0].tokens for h in hypotheses] == [[1, 2, 3], [1, 2]]


def test_the_score_is_that_of_the_likeliest_of_all_paths():
    log_probs = torch.randn(1, 4, 3, dtype=torch.float64).log_softmax(-1)
    (hypothesis,) = SEARCH(log_probs, torch.tensor([4]))[0]
    paths = itertools.product(range(3), repeat=4)
    scores = {path: sum(log_probs[0, t, k].item() for t, k in enumerate(path)) for path in paths}
    path = max(scores, key=scores.__getitem__)
    assert hypothesis.tokens == [token for token, _ in itertools.groupby(path) if token != 0]
    assert hypothesis.score == hypothesis.scores["ctc"] == pytest.approx(scores[path], abs=1e-12)


def test_spans_are_runs_of_frames_and_confidences_the_highest_probability_in_them():
    probs = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.7, 0.1], [0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.4, 0.5]])
    (hypothesis,) = SEARCH(probs.log().unsqueeze(0), torch.tensor([5]))[0]
    assert hypothesis.tokens == [1, 1, 2]
    assert hypothesis.token_times == [(0, 2), (3, 4), (4, 5)]
    assert hypothesis.confidences == pytest.approx([0.7, 0.5, 0.5], rel=1e-6)
    assert hypothesis.score == pytest.approx(math.log(0.6 * 0.7 * 0.8 * 0.5 * 0.5), rel=1e-6)


def test_another_blank_may_be_given():
    probs = torch.tensor([[0.6, 0.1, 0.3], [0.2, 0.1, 0.7], [0.8, 0.1, 0.1]])
    (hypothesis,) = CtcGreedySearch.Config().build(vocabulary=Vocabulary(7, 2))(probs.log().unsqueeze(0), torch.tensor([3]))[0]
    assert hypothesis.tokens == [0, 0]
