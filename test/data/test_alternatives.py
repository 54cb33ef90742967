from __future__ import annotations

import pytest
from lhotse import SupervisionSegment
from lhotse.cut import MonoCut

from speechkit.data.alternatives import alternatives


def tokenize(text: str) -> list[int]:
    """A space is 0, the letters follow."""
    if not text.isascii():
        raise ValueError(f"no token for {text!r}")
    return [0 if symbol == " " else ord(symbol) - 96 for symbol in text]


def cut(**custom) -> MonoCut:
    return MonoCut("c1", 0.0, 1.0, 0, [SupervisionSegment("s", "r", 0.0, 1.0, text="a b", custom=custom or None)])


def test_a_cut_without_alternatives_has_none():
    assert alternatives(cut(), tokenize) is None
    assert alternatives(cut(speed=1.0, nbest=None), tokenize) is None


def test_an_nbest_list_is_one_slot_of_sentences():
    found = alternatives(cut(nbest=[[-0.1, "a b"], [-3, "ab"], [-2.5, ""]]), tokenize)
    assert found == [[(-0.1, [1, 0, 2]), (-3.0, [1, 2]), (-2.5, [])]]


def test_a_confusion_network_is_a_slot_per_word_with_the_spaces_between():
    network = [[[-0.1, "a"], [-2.4, "b"]], [[-0.7, ""], [-0.7, "c"]], [[0, "ab"]]]
    assert alternatives(cut(confusion_network=network), tokenize) == [
        [(-0.1, [1]), (-2.4, [2])],
        [(-0.7, []), (-0.7, [0, 3])],
        [(0.0, [0, 1, 2])],
    ]


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        ({"nbest": [[-1, "a"]], "confusion_network": [[[-1, "a"]]]}, "expected one of nbest and confusion_network, got both"),
        ({"nbest": [[0.5, "a"]]}, r"nbest: expected pairs .*, got \[0.5, 'a'\]"),
        ({"nbest": [[float("nan"), "a"]]}, "nbest: expected pairs"),
        ({"nbest": ["a"]}, "nbest: expected pairs .*, got 'a'"),
        ({"nbest": 3}, "nbest: expected pairs .*, got 3"),
        ({"nbest": []}, "nbest: expected an alternative that is possible"),
        ({"nbest": [[-1, "é"]]}, "no token for 'é'"),
        ({"confusion_network": [[[-1, "a"]], [[-1, 2]]]}, "confusion_network, slot 1: expected pairs"),
        ({"confusion_network": [[[-1, "a"]], []]}, "slot 1: expected an alternative that is possible"),
        ({"confusion_network": "a"}, "confusion_network, slot 0: expected pairs .*, got 'a'"),
    ],
)
def test_what_cannot_be_used_names_the_cut(custom, message):
    with pytest.raises(ValueError, match=f"^cut c1: .*{message}"):
        alternatives(cut(**custom), tokenize)


def test_a_tokenizer_that_joins_words_cannot_take_networks():
    with pytest.raises(ValueError, match="cut c1: confusion_network: expected a tokenizer that takes words one by one"):
        alternatives(cut(confusion_network=[[[-1, "a"]], [[-1, "b"]]]), lambda text: [len(text)])
