"""N-best rescoring on hypotheses written down."""

from __future__ import annotations

import pytest
import torch

from speechkit.decode.base import Hypothesis
from speechkit.decode.rescore import rescore
from speechkit.decode.scorers.base import Scorer
from speechkit.decode.scorers.fusion import Fusion
from speechkit.text.vocabulary import Vocabulary

V, EOS = 5, 4


class Bigram(Scorer):
    """Scores a token by a table, given the one before; each utterance begins behind another token."""

    def __init__(self, scale=1.0):
        super().__init__(Scorer.Config(scale=scale), vocabulary=Vocabulary(V))
        self.table = -torch.rand(V, V, generator=torch.Generator().manual_seed(0))

    def start(self, decoders, batch_size):
        return EOS - torch.arange(batch_size)

    def score(self, state):
        return self.table[state]

    def advance(self, state, parents, tokens):
        return torch.where(tokens == 0, state[parents], tokens)

    def total(self, utterance, tokens):
        return sum(self.table[a, b].item() for a, b in zip([EOS - utterance, *tokens], [*tokens, EOS]))


def nbest():
    first = [Hypothesis([1, 2], -1.0, {"ctc": -1.0}, [(0, 1), (2, 3)], [0.5, 0.6]), Hypothesis([], -1.1, {"ctc": -1.1})]
    return [[*first, Hypothesis([3, 3, 3, 1], -1.2, {"ctc": -1.2})], [Hypothesis([2], -0.5, {"ctc": -0.5})]]


def test_scores_of_whole_sentences_are_added_and_decide_the_order():
    scorer = Bigram(scale=3.0)
    found = rescore(nbest(), Fusion({"lm": scorer}, 0.0, Vocabulary(V)), {})
    for utterance, (old, new) in enumerate(zip(nbest(), found, strict=True)):
        by_tokens = {tuple(hypothesis.tokens): hypothesis for hypothesis in old}
        assert [h.score for h in new] == sorted((h.score for h in new), reverse=True) and len(new) == len(old)
        for hypothesis in new:
            before, total = by_tokens.pop(tuple(hypothesis.tokens)), scorer.total(utterance, hypothesis.tokens)
            assert hypothesis.score == pytest.approx(before.score + 3.0 * total, abs=1e-6)
            assert hypothesis.scores == {"ctc": before.score, "lm": pytest.approx(total, abs=1e-6)}
            assert hypothesis.token_times == before.token_times and hypothesis.confidences == before.confidences
    assert found[0][0].tokens == []  # the shortest: every token costs


def test_without_scorers_and_without_hypotheses_nothing_changes():
    assert rescore(nbest(), Fusion({}, 0.0, Vocabulary(V)), {}) == nbest()
    assert rescore([], Fusion({"lm": Bigram()}, 0.0, Vocabulary(V)), {}) == []
    assert [h.tokens for h in rescore(nbest(), Fusion({"lm": Bigram(0.0)}, 0.0, Vocabulary(V)), {})[0]] == [[1, 2], [], [3, 3, 3, 1]]


def test_a_name_that_a_part_of_the_score_has_is_an_error():
    with pytest.raises(ValueError, match="rescore: expected names that no part of the search's score has, got ctc"):
        rescore(nbest(), Fusion({"ctc": Bigram()}, 0.0, Vocabulary(V)), {})
