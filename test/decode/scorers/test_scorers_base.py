"""What every registered scorer must do; a new one is tested by being there."""

from __future__ import annotations

import pytest
import torch

import speechkit.decode.scorers  # noqa: F401 - registers them
from scorer_cases import CASES  # name of a scorer -> a function (tmp_path) -> (scorer, decoders)
from speechkit.decode.scorers.base import Scorer
from speechkit.text.vocabulary import Vocabulary

V, BLANK = 7, 0
TOKENS = [2, 3, 4, 5]


@pytest.fixture(params=sorted(Scorer.registry))
def built(request, tmp_path):
    torch.manual_seed(0)
    return CASES[request.param](tmp_path, Vocabulary(V, BLANK))


def grow(scorer, state, *tokens):
    for token in tokens:
        state = scorer.advance(state, torch.arange(len(scorer.score(state))), torch.full((len(scorer.score(state)),), token))
    return state


def test_scores_are_finite_one_row_per_hypothesis_one_column_per_token(built):
    scorer, decoders = built
    score = scorer.score(scorer.start(decoders, 3))
    assert score.shape == (3, V) and score.dtype == torch.float32 and score.isfinite().all()


def test_hypotheses_score_alike_alone_and_together_and_however_they_were_shuffled(built):
    scorer, decoders = built
    together = scorer.start(decoders, 2)
    together = scorer.advance(together, torch.tensor([1, 0, 1]), torch.tensor([2, 3, BLANK]))  # 2 | 3 | nothing
    together = scorer.advance(together, torch.tensor([2, 0, 1, 0]), torch.tensor([5, 4, BLANK, BLANK]))
    expected = [(5,), (2, 4), (3,), (2,)]
    for row, tokens in zip(scorer.score(together), expected, strict=True):
        alone = scorer.score(grow(scorer, scorer.start(decoders, 1), *tokens))[0]
        torch.testing.assert_close(row, alone, rtol=1e-4, atol=1e-5)


def test_growing_leaves_the_old_state_as_it_was(built):
    scorer, decoders = built
    state = grow(scorer, scorer.start(decoders, 2), 2)
    before = scorer.score(state).clone()
    scorer.advance(state, torch.tensor([0, 1, 1]), torch.tensor([3, 4, BLANK]))
    torch.testing.assert_close(scorer.score(state), before, rtol=0, atol=0)
