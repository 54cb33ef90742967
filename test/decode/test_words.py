from __future__ import annotations

import pytest
import torch

from speechkit.decode.base import Hypothesis
from speechkit.decode.ctc_prefix_beam import CtcPrefixBeamSearch
from speechkit.decode.words import Word, apart, words
from speechkit.text.symbols import CharTokenizer
from speechkit.text.vocabulary import Vocabulary

TEXT = "go on 你好"


@pytest.fixture
def tokenizer():
    tokenizer = CharTokenizer.Config().build()
    tokenizer.fit([TEXT])
    return tokenizer


def test_a_word_lasts_from_its_first_to_its_last_token_and_is_as_sure_as_the_least_sure(tokenizer):
    hypothesis = Hypothesis(
        tokens=tokenizer.encode(TEXT),
        score=0.0,
        token_times=[(1, 2), (3, 5), (5, 6), (8, 9), (9, 12), (12, 13), (13, 14), (17, 19)],
        confidences=[0.9, 0.8, 0.1, 0.7, 0.95, 0.2, 0.6, 0.5],
    )
    found = words(hypothesis, tokenizer, frame_shift=0.04)
    assert [word.word for word in found] == ["go", "on", "你", "好"]
    assert [word.start for word in found] == pytest.approx([0.04, 0.32, 0.52, 0.68])
    assert [word.end for word in found] == pytest.approx([0.20, 0.48, 0.56, 0.76])
    assert [word.confidence for word in found] == [0.8, 0.7, 0.6, 0.5]


def test_spans_that_begin_together_share_the_longest_of_them():
    assert apart([(0, 1), (3, 4), (3, 4), (5, 5), (5, 7)]) == [(0, 1), (3, 3.5), (3.5, 4), (5, 6), (6, 7)]
    assert apart([]) == []


def test_words_of_one_frame_have_times_of_their_own(tokenizer):
    emitted = [(2, 3)] * 2 + [(2, 3), (4, 5)] + [(6, 7)] * 4  # as a transducer's searches give them
    found = words(Hypothesis(tokenizer.encode(TEXT), 0.0, token_times=emitted, confidences=[0.5] * 8), tokenizer, 0.06)
    assert [word.start for word in found] == pytest.approx([0.12, 0.24, 0.39, 0.405])
    assert [word.end for word in found] == pytest.approx([0.16, 0.375, 0.405, 0.42])


def test_no_tokens_are_no_words(tokenizer):
    assert words(Hypothesis(tokens=[], score=0.0), tokenizer, frame_shift=0.04) == []


@pytest.mark.parametrize("seed", range(10))
def test_times_never_go_back_nor_beyond_the_utterance(tokenizer, seed):
    torch.manual_seed(seed)
    log_probs = (2 * torch.randn(1, 31, tokenizer.vocab_size)).log_softmax(-1)
    (hypothesis,) = CtcPrefixBeamSearch.Config().build(vocabulary=Vocabulary(7))(log_probs, torch.tensor([31]))[0]
    found = words(hypothesis, tokenizer, frame_shift=0.04, duration=1.1)
    times = [time for word in found for time in (word.start, word.end)]
    assert found and times == sorted(times) and 0.0 <= times[0] and times[-1] <= 1.1


class TwoWordsInOneToken:
    def word_spans(self, ids):
        return [("a", 0, 1), ("b", 0, 1), ("c", 1, 2)]


def test_words_that_share_a_token_follow_each_other():
    hypothesis = Hypothesis(tokens=[7, 8], score=0.0, token_times=[(0, 2), (2, 3)], confidences=[0.5, 0.25])
    assert words(hypothesis, TwoWordsInOneToken(), frame_shift=0.5) == [
        Word("a", 0.0, 1.0, 0.5),
        Word("b", 1.0, 1.0, 0.5),
        Word("c", 1.0, 1.5, 0.25),
    ]
