"""What holds for every registered normalizer, and the language-neutral ones."""

import random
import re

import pytest

import speechkit.text  # noqa: F401 registers the normalizers
from speechkit.text.normalizer import BasicNormalizer, Normalizer, plain_characters

PIECES = [
    *"0123456789012345678901234567890123456789''  ..,,::--//$£€¥%&+=@#°()abstAXI_~\n\t",
    *"\u3000\u00ad\u200b\u0301\u3099½²①Ⅷ½～—’‘，。１ßſKéİΣŉ౸٣一二的ぁﬁ℃㎏가年月个两万百到",
    *["{AW1 S}", "--", "…", "etc.", "u.s.", "j. ", "gen.", "inc", "2024-03-05", "[", "]", "。", "；"],
    *["mr", "dr", "st.", "St. ", "pm", " am", "th", "mrs", "'s", "tis", "in", "no.", "march ", "Jan ", "million", "k"],
]


def random_texts(count, seed=0):
    source = random.Random(seed)
    return ["".join(source.choices(PIECES, k=source.randrange(1, 14))) for _ in range(count)]


CONFIGS = [
    *(Normalizer.registry[name].Config() for name in sorted(Normalizer.registry)),
    *(Normalizer.registry[name].Config(case="upper") for name in ("english", "mandarin")),
    Normalizer.registry["mandarin"].Config(case="keep", separate_latin=True),
    BasicNormalizer.Config(form="NFC", spaces="remove", case="upper"),
    BasicNormalizer.Config(strip_punctuation=False, keep="", case="keep"),
]
SPOKEN = [
    *(Normalizer.registry[name].Config(case="upper", punctuation="keep") for name in ("english", "mandarin")),
    *(Normalizer.registry[name].Config(punctuation="keep") for name in ("english", "mandarin")),
    Normalizer.registry["mandarin"].Config(punctuation="keep", separate_latin=True),
]


@pytest.mark.parametrize("config", CONFIGS + SPOKEN, ids=repr)
def test_normalizing_twice_is_normalizing_once(config):
    normalizer = config.build()
    for text in ["", " ", *random_texts(1500)]:
        once = normalizer(text)
        assert normalizer(once) == once, text


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_normalizing_twice_is_normalizing_once_for_every_character(config):
    normalizer = config.build()
    for code in [*range(0x3100), *range(0xA000, 0xAC00), *range(0xD7A0, 0xD800), *range(0xF900, 0x10000)]:
        once = normalizer(f"a{chr(code)}b")
        assert normalizer(once) == once, hex(code)


@pytest.mark.parametrize("config", SPOKEN[-3:], ids=repr)
def test_marks_in_any_place_are_tidy_after_one_pass(config):
    for text in random_texts(500, seed=1):
        spoken = re.sub(r"\{[^{}]*\}", "x", config.build()(text))
        assert not re.search(r"^[.,?!;:-]|[.,?!;:-]\s*[.,?!;:-]|\s[.,?!;:]|  |[0-9]", spoken), (text, spoken)


def test_none_changes_nothing():
    assert Normalizer.registry["none"].Config().build()(" A  b!\n") == " A  b!\n"


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ({}, " Hello,  WORLD! ", "hello world"),
        ({}, "don\u2019t well-known x_y", "don't well known x y"),
        ({}, "Ｆｕｌｌ　ｗｉｄｔｈ　１", "full width 1"),
        ({"case": "upper"}, "Straße", "STRASSE"),
        ({"case": "keep"}, "Ab, cD", "Ab cD"),
        ({"strip_punctuation": False}, "Ab , cD!", "ab , cd!"),
        ({"keep": "-"}, "don't well-known", "don t well-known"),
        ({"spaces": "remove"}, "今天， 天气。", "今天天气"),
        ({"form": "NFC"}, "e\u0301ﬁ", "éﬁ"),
        ({"form": "NFKC"}, "e\u0301ﬁ", "éfi"),
        ({}, "नमस्ते!", "नमस्ते"),
        ({}, "soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
    ],
)
def test_basic_does_what_its_options_say(options, text, expected):
    assert BasicNormalizer.Config(**options).build()(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10⁴", "10 4"), ("3½", "3 1/2"), ("１٣", "13"), ("a\u200bb", "ab"), ("\ufb01 \u2126", "fi \u03a9")],
)
def test_compatibility_characters_become_plain_without_gluing(text, expected):
    assert plain_characters(text) == expected
