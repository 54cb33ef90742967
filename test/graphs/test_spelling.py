"""How words are spelled in a model's tokens."""

from __future__ import annotations

import math

import pytest

from speechkit.graphs.spelling import Spellings, spell
from speechkit.text.bpe import BpeTokenizer
from speechkit.text.lexicon import Lexicon
from speechkit.text.phone import PhoneTokenizer
from speechkit.text.symbols import CharTokenizer, WordTokenizer

TEXT = ["the cat sat on the mat", "a cat"]


def fitted(cls, **options):
    tokenizer = cls.Config(**options).build()
    tokenizer.fit(TEXT)
    return tokenizer


def test_characters_have_a_space_between_words_and_pieces_hold_it() -> None:
    chars, pieces, words = fitted(CharTokenizer), fitted(BpeTokenizer, vocab_size=14), fitted(WordTokenizer)
    for tokenizer, separator in ((chars, " "), (pieces, None), (words, None)):
        spellings, missing = spell(["the", "cat", "the", "mat"], tokenizer)
        assert list(spellings.words) == ["cat", "mat", "the"] and not missing
        assert spellings.separator == (() if separator is None else tuple(tokenizer.encode(separator)))
        sentence = [next(iter(spellings.words[word])) for word in ("the", "mat")]
        joined = [*sentence[0], *spellings.separator, *sentence[1]]
        assert joined == tokenizer.encode("the mat")
        spans = spellings.segment(["the", "mat"], joined)
        assert [tokenizer.decode(joined[first:last]) for _, first, last in spans] == ["the", "mat"]


def test_words_with_unknown_symbols_are_missing() -> None:
    assert spell(["cat", "dog", "sit"], fitted(CharTokenizer))[1] == ["dog", "sit"]
    assert spell(["cat", "dog"], fitted(WordTokenizer, unknown="token"))[1] == ["dog"]


def test_a_lexicon_gives_all_pronunciations_with_their_costs(tmp_path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text("the 1.0 D i\nthe 0.5 D @\ncat 1.0 k a t\n")
    tokenizer = PhoneTokenizer.Config(lexicon=str(path)).build()
    tokenizer.fit(TEXT)
    for lexicon in (None, Lexicon.read(path)):
        spellings, missing = spell(["the", "mat"], tokenizer, lexicon)
        ways = {tuple(tokenizer.tokens[token] for token in way): cost for way, cost in spellings.words["the"].items()}
        assert ways == {("D", "i"): 0.0, ("D", "@"): pytest.approx(math.log(2))} and missing == ["mat"]
    with pytest.raises(ValueError, match="got 'm' in 'mat'; take the lexicon that the model was trained with"):
        spell(["mat"], tokenizer, Lexicon.parse(b"mat m a t\n"))


def test_tokens_are_divided_among_words_where_several_spellings_fit() -> None:
    spellings = Spellings({"x": {(1,): 0.0, (1, 2): 0.0}, "y": {(2, 3): 0.0, (3,): 0.0}})
    assert spellings.segment(["x", "y"], [1, 2, 3]) in ([("x", 0, 1), ("y", 1, 3)], [("x", 0, 2), ("y", 2, 3)])
    assert spellings.segment(["x", "x", "y"], [1, 1, 2, 2, 3]) == [("x", 0, 1), ("x", 1, 3), ("y", 3, 5)]
    assert spellings.segment([], []) == []


def test_word_ids_leave_room_for_epsilon_unknown_and_the_ends_of_sentences() -> None:
    spellings = Spellings({"b": {(2,): 0.0}, "a": {(1,): 0.0}})
    assert spellings.ids == {"a": 2, "b": 3}
    assert (spellings.vocabulary.size, spellings.vocabulary.sos_id, spellings.backoff_label) == (5, 4, 5)
