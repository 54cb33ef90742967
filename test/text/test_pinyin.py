import sys

import pytest

from speechkit.text.pinyin import PinyinTokenizer, split_syllable


def fitted(*texts, **options):
    tokenizer = PinyinTokenizer.Config(**options).build()
    tokenizer.fit(texts)
    return tokenizer


@pytest.mark.parametrize(
    ("syllable", "parts"),
    [
        ("zhong1", "zh ong1"),
        ("yi1", "i1"),
        ("yuan2", "van2"),
        ("jue2", "j ve2"),
        ("lv4", "l v4"),
        ("lü4", "l v4"),
        ("nu:3", "n v3"),
        ("liu2", "l iou2"),
        ("gui4", "g uei4"),
        ("lun2", "l uen2"),
        ("wei2", "uei2"),
        ("wu3", "u3"),
        ("you3", "iou3"),
        ("er2", "er2"),
        ("huar1", "h ua1 rr"),
        ("wanr2", "uan2 rr"),
        ("le5", "l e5"),
        ("an4", "an4"),
        ("ng4", "ng4"),
        ("n2", "n2"),
    ],
)
def test_syllables_are_initials_and_finals_in_full(syllable, parts):
    assert split_syllable(syllable) == parts.split()


@pytest.mark.parametrize("syllable", ["zhong", "zhong6", "hello1", "b1", "", "1", "ü"])
def test_what_is_no_syllable_is_shown(syllable):
    with pytest.raises(ValueError, match=f"{syllable!r}: expected a syllable of Mandarin with its tone"):
        split_syllable(syllable)


def test_syllables_in_braces_are_taken_as_they_are_without_pypinyin(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    tokenizer = fitted("{ka2 er2 pu3}, {huar1}.")
    assert tokenizer.decode(tokenizer.encode("{pu3 ka2}.")) == "p u3 k a2 ."
    with pytest.raises(ValueError, match=r"pinyin tokenizer: expected the package pypinyin.*speechkit\[tts\]"):
        fitted("你好")


@pytest.mark.optional
def test_finals_are_those_of_pypinyin_for_every_character():
    pypinyin = pytest.importorskip("pypinyin")
    from pypinyin.contrib.tone_convert import to_finals_tone3, to_initials

    options = {"style": pypinyin.Style.TONE3, "neutral_tone_with_five": True}
    characters = "".join(map(chr, range(0x4E00, 0x9FA6, 5)))
    syllables = set(pypinyin.lazy_pinyin(characters, **options))
    assert len(syllables) > 900
    interjections = ("m", "n", "ng", "hm", "hng", "yo")
    for syllable in {each for each in syllables if each.isascii() and each[:-1] not in interjections}:
        final = to_finals_tone3(syllable, strict=True, v_to_u=False, neutral_tone_with_five=True)
        assert split_syllable(syllable) == [part for part in (to_initials(syllable, strict=True), final) if part]


@pytest.mark.optional
@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("你好,世界!", "n i2 h ao3 , sh i4 j ie4 !"),
        ("银行行长", "in2 h ang2 h ang2 zh ang3"),
        ("重庆很重要。", "ch ong2 q ing4 h en3 zh ong4 iao4 ."),
        ("不是一个", "b u2 sh i4 i2 g e4"),
        ("OK吗?", "O K m a5 ?"),
        ("你 好", "n i3 | h ao3"),
    ],
)
def test_characters_are_read_in_their_phrases(text, spoken):
    pytest.importorskip("pypinyin")
    tokenizer = fitted(text, "你好, 一.")
    decoded = tokenizer.decode(tokenizer.encode(text))
    assert decoded == spoken


@pytest.mark.optional
def test_tones_can_be_those_of_the_characters_alone():
    pytest.importorskip("pypinyin")
    tokenizer = fitted("你好", tone_sandhi=False)
    assert tokenizer.decode(tokenizer.encode("你好")) == "n i3 h ao3"


@pytest.mark.optional
def test_what_has_no_pinyin_is_shown():
    pytest.importorskip("pypinyin")
    for unknown in ("7", "カ", "桛"):
        with pytest.raises(ValueError, match=f"'{unknown}' in '你{unknown}' is outside the vocabulary"):
            fitted("你, 好").encode(f"你{unknown}")
