"""What the tokenizers for synthesis share, on one whose sounds are letters."""

import pytest

from speechkit.text.spoken import BOUNDARY, SpokenTokenizer
from speechkit.text.tokenizer import Tokenizer


class Letters(SpokenTokenizer, name="letters_for_tests"):
    """Letters are sounds; digits have none."""

    alphabet = "letters"

    def _words(self, run):
        return (
            [char if char.isalpha() else self._no_sound(char) for char in word if char not in "-.':"] for word in run.split()
        )


del Tokenizer.registry["letters_for_tests"]  # tests over the registry are not for it


def fitted(*texts, **options):
    tokenizer = Letters.Config(**options).build()
    tokenizer.fit(texts)
    return tokenizer


def sounds(text, **options):
    return "".join(Letters.Config(**options).build()._sounds(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ab cd", "ab|cd"),
        (" ab,  cd! ", "ab,|cd!"),
        ("ab - cd", "ab|-|cd"),
        ("ab-cd", "abcd"),
        ("a—b", "a|-|b"),
        ("ab , cd", "ab,|cd"),
        ("U.S. is", "US.|is"),
        ("yes,no", "yes,no"),
        ("你好,世界。好", "你好,世界.好"),
        ("a {X YY} b", "a|XYY|b"),
        ("a{X}b", "aXb"),
        ('"a" (b)', "a|b"),
        ("", ""),
        ("  ", ""),
        (".", "."),
    ],
)
def test_words_marks_overrides_and_what_stands_between(text, expected):
    assert sounds(text) == expected
    assert sounds(text, word_boundaries=False) == expected.replace(BOUNDARY, "")


@pytest.mark.parametrize("text", ["3.5", "10:30", "1,000"])
def test_marks_within_numbers_are_left_to_the_reader(text):
    assert [word for word in Letters.Config().build()._raw_sounds(text)] == [
        f"<{char}>" for char in text if char not in ".:"
    ]


def test_tokens_are_sounds_marks_and_the_boundary_sorted():
    assert fitted("ba c, a!").tokens == ["<blank>", "<unk>", "!", ",", "a", "b", "c", "|", "<sos/eos>"]


@pytest.mark.parametrize(
    ("texts", "text", "expected"),
    [
        (["a b."], "a? b!", "a.|b."),
        (["a, b."], "a; b: a - b", "a,|b,|a|,|b"),
        (["ab"], "a, b.", "ab"),  # neither marks nor boundaries in training
        (["a b"], "a, b.", "a|b"),
        (["a? b"], "a. b", "a|b"),  # a question is no stand-in for a statement
    ],
)
def test_marks_without_training_give_way_to_the_next_of_kin(texts, text, expected):
    tokenizer = fitted(*texts)
    assert tokenizer.decode(tokenizer.encode(text)) == expected


def test_other_unknown_symbols_are_errors_that_show_them():
    tokenizer = fitted("abc")
    with pytest.raises(ValueError, match="'d' in 'a d' is outside the vocabulary of 6 tokens; normalize the text"):
        tokenizer.encode("a d")
    with pytest.raises(ValueError, match="'7' in 'a 7' is outside"):
        tokenizer.encode("a 7")
    with pytest.raises(ValueError, match="'X' in 'a {X}' is outside"):
        tokenizer.encode("a {X}")


def test_unknown_symbols_can_be_tokens():
    tokenizer = fitted("abc", unknown="token")
    assert tokenizer.decode(tokenizer.encode("a7d")) == "a\u2047\u2047"


def test_what_has_no_sound_is_never_learned():
    assert "<7>" not in fitted("a7").tokens


def test_texts_without_a_sound_cannot_be_learned_from():
    for texts in ([], ["", ". ,"], ["7"]):
        with pytest.raises(ValueError, match="expected text to learn from, got none with a sound"):
            fitted(*texts)
