import random
import re
import time

import pytest

from speechkit.text.sentences import split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["Mr. Smith paid $3.50 to J. F. Kennedy.", "He left at 5 p.m.", "The end."],
        ["No. 5 is alive!", '"Really?" he asked.', '"Yes."', "She went."],
        ["The U.S. Senate met.", "I live in the U.S.", "They know... maybe."],
        ["1. First.", "2. Second.", "See Fig. 3.", "It was I.", "Then he came."],
        ["He was born in 1990.", "5 years later he left.", "(He left.)", "'Go.'", "Now"],
        [
            "Acme Inc. Chairman Bob spoke.",
            "He works at Acme Inc.",
            "The firm, e.g. this one, is at www.a.com now.",
            "What?!",
            "Wait… what?",
        ],
        ["Dr. Who vs. Prof. X at 10:30 a.m. Monday."],
        ["他说：“你好。”", "然后走了。", "价格是3.14元！", "真的吗？", "是的……算了吧。"],
        ["你好!", "世界?", "对。", "Hello.", "World"],
        ["「走吧。」", "（他走了。）", "好"],
    ],
)
@pytest.mark.parametrize("gap", [" ", "  ", "\n", "\n\n"])
def test_sentences_end_where_readers_stop(sentences, gap):
    assert split_sentences(gap.join(sentences)) == sentences


def test_an_empty_line_ends_a_sentence_without_a_mark_and_a_single_newline_does_not():
    assert split_sentences("A title\n\nThe text\ngoes on") == ["A title", "The text\ngoes on"]


@pytest.mark.parametrize("text", ["", "  ", "\n\n"])
def test_nothing_has_no_sentences(text):
    assert split_sentences(text) == []


def random_text(source, length):
    pieces = [
        "Mr. ",
        "the ",
        "U.S. ",
        "3.14 ",
        "word ",
        "Word. ",
        "what? ",
        "yes! ",
        "etc. ",
        "“Go.” ",
        "你好",
        "。",
        "，",
        "……",
        "\n\n",
        "a, ",
        "— ",
    ]
    return "".join(source.choices(pieces, k=length))


@pytest.mark.parametrize("max_length", [None, 7, 40])
def test_nothing_between_spaces_is_lost_or_changed(max_length):
    source = random.Random(0)
    for _ in range(200):
        text = random_text(source, source.randrange(1, 60))
        pieces = split_sentences(text, max_length)
        assert "".join("".join(pieces).split()) == "".join(text.split())
        assert all(piece == piece.strip() and piece for piece in pieces)
        assert max_length is None or max(map(len, pieces), default=0) <= max_length


def test_long_sentences_are_cut_at_clauses_or_else_at_spaces():
    text = "one two, three four five, six seven eight nine ten eleven twelve thirteen, fourteen"
    expected = ["one two, three four five,", "six seven eight nine ten", "eleven twelve thirteen,", "fourteen"]
    assert split_sentences(text, max_length=30) == expected
    assert split_sentences("这是一个很长的句子，没有句号，但是有逗号，可以切开", max_length=10) == [
        "这是一个很长的句子，",
        "没有句号，",
        "但是有逗号，可以切开",
    ]
    assert split_sentences("a" * 25, max_length=10) == ["a" * 10, "a" * 10, "a" * 5]


def test_a_length_below_one_is_an_error():
    with pytest.raises(ValueError, match="max_length: expected 1 or more characters, got 0"):
        split_sentences("a", max_length=0)


def test_long_texts_are_quick_even_when_someone_wants_them_slow():
    english = 'Mr. Smith went to Washington, D.C. on Jan. 5, at 3.30 p.m. He said: "Hello." ' * 70
    assert len(english) > 5000 and len(split_sentences(english)) == 3 * 70
    begin = time.perf_counter()
    for hostile in ("a" * 50_000 + ". B", "." * 50_000, "!" * 50_000 + "x", "。" * 50_000, ". " * 20_000, '"' * 50_000):
        split_sentences(hostile, 200)
    assert time.perf_counter() - begin < 5
    assert re.fullmatch(r"\.+", split_sentences("." * 300)[0])
