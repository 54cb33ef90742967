import random

import pytest

from speechkit.text import english_numbers as numbers

VALUES = dict(
    zip(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety".split(),
        [*range(20), *range(20, 100, 10)],
    )
)


def value_of(words):
    """Read a cardinal back: an independent grammar, with one running group below 1000."""
    total = group = 0
    for word in words.split():
        if word == "hundred":
            group *= 100
        elif word in ("thousand", "million", "billion", "trillion"):
            total += group * 1000 ** (1 + ["thousand", "million", "billion", "trillion"].index(word))
            group = 0
        else:
            group += VALUES[word]
    return total + group


def test_every_cardinal_reads_back_as_its_number():
    source = random.Random(0)
    for number in [*range(2100), *(source.randrange(10 ** source.randrange(4, 16)) for _ in range(2000))]:
        assert value_of(numbers.cardinal(number)) == number


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (21, "twenty one"),
        (100, "one hundred"),
        (105, "one hundred five"),
        (1_000_001, "one million one"),
        (3_000_200_010_012, "three trillion two hundred million ten thousand twelve"),
    ],
)
def test_cardinals_are_american_and_without_hyphens(number, words):
    assert numbers.cardinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zeroth"), (1, "first"), (2, "second"), (3, "third"), (5, "fifth"), (8, "eighth"), (9, "ninth")]
    + [(12, "twelfth"), (20, "twentieth"), (22, "twenty second"), (100, "one hundredth"), (113, "one hundred thirteenth")],
)
def test_ordinals(number, words):
    assert numbers.ordinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(1999, "nineteen ninety nine"), (1900, "nineteen hundred"), (1905, "nineteen oh five"), (2000, "two thousand")]
    + [(2005, "two thousand five"), (2010, "twenty ten"), (2100, "twenty one hundred"), (1100, "eleven hundred")],
)
def test_years(number, words):
    assert numbers.year(number) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [("007", "zero zero seven"), ("0", "zero"), ("1,000.50", "one thousand point five zero"), (".5", "point five")]
    + [("1.2.3", "one point two point three"), ("1" * 16, " ".join(["one"] * 16)), ("1066", "one thousand sixty six")],
)
def test_numbers_as_written(text, words):
    assert numbers.number(text) == words


def test_plurals():
    words = ["nineteen ninety", "six", "one hundred"]
    assert [numbers.plural(word) for word in words] == ["nineteen nineties", "sixes", "one hundreds"]
