"""Hotwords against counting the phrases in every sequence."""

from __future__ import annotations

import itertools

import pytest
import torch

from speechkit.config import validate
from speechkit.decode.scorers.hotwords import HotwordScorer
from speechkit.text.symbols import CharTokenizer

LETTERS = "abc"


def tokenizer(**options):
    char = CharTokenizer(CharTokenizer.Config(**options))
    char.fit([LETTERS])
    return char


def build(tokens=None, **options):
    tokens = tokens or tokenizer()
    return HotwordScorer.Config(**options).build(vocabulary=tokens.vocabulary, tokenizer=tokens)


def running_totals(scorer, text):
    """The score of a text's beginnings, and of the whole with its end."""
    state, totals = scorer.start({}, 1), [0.0]
    for token in tokenizer().encode(text):
        totals.append(totals[-1] + scorer.score(state)[0, token].item())
        state = scorer.advance(state, torch.tensor([0]), torch.tensor([token]))
    return totals, totals[-1] + scorer.score(state)[0, scorer.vocabulary.eos_id].item()


def count(text, phrase):
    return sum(text.startswith(phrase, start) for start in range(len(text)))


@pytest.mark.parametrize(
    "phrases", [["abc"], ["ab", "abca"], ["a", "bab", "ab"], ["aa", "aab", "cb", "abcc"], ["abcab", "bca", "c"]]
)
def test_a_sentence_gets_the_boost_of_each_token_of_each_phrase_in_it(tmp_path, phrases):
    boosts = dict(zip(phrases, (1.5, -0.5, 3.0, 2.25)))
    (tmp_path / "words.txt").write_text("".join(f"{phrase}\t{boost}\n" for phrase, boost in boosts.items()))
    scorer = build(file=tmp_path / "words.txt")
    for length in range(6):
        for letters in itertools.product(LETTERS, repeat=length):
            text = "".join(letters)
            expected = sum(boost * len(phrase) * count(text, phrase) for phrase, boost in boosts.items())
            assert running_totals(scorer, text)[1] == pytest.approx(expected, abs=1e-4)


def test_a_phrase_is_paid_as_it_is_spelled_and_taken_back_where_it_breaks_off():
    scorer = build(phrases=("abca",), boost=2.0)
    assert running_totals(scorer, "abcab") == ([0, 2, 4, 6, 10, 12], 8)  # the last a, b begin another one
    assert running_totals(scorer, "abb") == ([0, 2, 4, 0], 0)
    assert running_totals(scorer, "abab") == ([0, 2, 4, 2, 4], 0)


def test_phrases_without_a_boost_score_nothing():
    scorer = build(phrases=("ab", "c"), boost=0.0)
    state = scorer.advance(scorer.start({}, 2), torch.tensor([0, 1]), torch.tensor([2, 3]))
    assert (scorer.score(state) == 0).all()


def test_phrases_come_from_the_list_and_the_file_in_the_models_folder(tmp_path):
    (tmp_path / "words.txt").write_text("ab\r\n\ncc\t0.5\nab\n", encoding="utf-8")
    tokens = tokenizer()
    config = validate(HotwordScorer.Config, {"name": "hotwords", "phrases": ["b"], "file": "words.txt", "boost": 1.0})
    scorer = config.build(vocabulary=tokens.vocabulary, tokenizer=tokens, model_dir=tmp_path)
    assert running_totals(scorer, "abcc")[1] == pytest.approx(1.0 + 2.0 + 1.0)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ab\tmuch", r"words.txt:2: expected a finite number behind the tab, got 'much'"),
        ("ab\tnan", r"words.txt:2: expected a finite number behind the tab, got 'nan'"),
        ("xab", r"words.txt:2: 'xab' cannot be spelled in the model's tokens: char tokenizer: 'x'"),
        ("cc\t2", r"words.txt:2: expected one boost for 'cc', got 1.5 and 2; give one"),
        (" \t2", r"words.txt:2: expected a phrase in the model's tokens, got an empty one"),
    ],
)
def test_a_line_that_cannot_be_used_is_an_error_that_names_it(tmp_path, line, problem):
    (tmp_path / "words.txt").write_text(f"cc\n{line}\n")
    with pytest.raises(ValueError, match=problem):
        build(file=tmp_path / "words.txt")


def test_phrases_that_cannot_be_used_are_errors_that_name_them(tmp_path):
    with pytest.raises(ValueError, match=r"hotwords: phrases\[1\]: expected a phrase in the model's tokens, got an empty one"):
        build(phrases=("ab", ""))
    with pytest.raises(ValueError, match="got one with unknown symbols: 'ax'"):
        build(tokenizer(unknown="token"), phrases=("ax",))
    with pytest.raises(ValueError, match="expected a text file of hotwords"):
        build(file=tmp_path / "none.txt")


def test_a_scorer_without_any_phrase_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="hotwords: expected phrases or a file of them, got neither; .* leave the scorer out"):
        build()
    (tmp_path / "words.txt").write_text("\n \n")
    with pytest.raises(ValueError, match="got none in .*words.txt"):
        build(file=tmp_path / "words.txt")
