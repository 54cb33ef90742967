"""The lexicon transducer says the words that tokens spell."""

from __future__ import annotations

from test_topology import outputs

from speechkit.graphs.lexicon_fst import lexicon_fst
from speechkit.graphs.spelling import Spellings

V = 6
A, B, SPACE = 2, 3, 4
HASH = V + 1  # the label of #0, then #1, #2 ...


def said(spellings: Spellings, *labels: int) -> list[tuple[str, ...]]:
    names = {number - 1: word for word, number in spellings.ids.items()}  # `outputs` takes one off, as for tokens
    found = outputs(lexicon_fst(spellings, V), labels)
    return [tuple(names.get(word, "#0") for word in words) for words in found]


def test_words_with_a_separator_stand_alone_or_have_it_between_them() -> None:
    spellings = Spellings({"a": {(A,): 0.0}, "ab": {(A, B): 0.0}}, (SPACE,))
    a, b, space = A + 1, B + 1, SPACE + 1
    assert said(spellings) == [()]
    assert said(spellings, a, HASH + 1) == [("a",)]  # "ab" begins like "a", which needs a mark
    assert said(spellings, a, b, space, a, HASH + 1) == [("ab", "a")]
    assert said(spellings, a, b, a, b) == said(spellings, space, a, b) == said(spellings, a, b, space) == []


def test_words_that_sound_alike_get_marks_of_their_own() -> None:
    spellings = Spellings({"one": {(A,): 0.0}, "won": {(A,): 0.5}, "b": {(B,): 0.0}})
    assert said(spellings, A + 1, HASH + 1, A + 1, HASH + 2, B + 1) == [("one", "won", "b")]
    assert said(spellings, A + 1) == []
    fst = lexicon_fst(spellings, V)
    assert sorted(fst.costs[fst.olabels == spellings.ids["won"]]) == [0.5]


def test_backoffs_of_the_grammar_pass_between_words() -> None:
    spellings = Spellings({"b": {(B,): 0.0}}, (SPACE,))
    assert said(spellings, HASH, B + 1, HASH, HASH, SPACE + 1, B + 1) == [("#0", "b", "#0", "#0", "b")]
    assert said(spellings, B + 1, SPACE + 1, HASH, B + 1) == []
