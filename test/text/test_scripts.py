import unicodedata

from speechkit.text.scripts import has_ideograph


def test_the_ranges_agree_with_the_names_of_the_characters():
    alone = ("CJK UNIFIED", "CJK COMPAT", "HIRAGANA", "KATAKANA LETTER")
    joined = ("LATIN", "CYRILLIC", "ARABIC", "HANGUL", "DIGIT", "IDEOGRAPHIC FULL STOP")
    for code in range(0x30000):
        char = chr(code)
        name = unicodedata.name(char, "")
        if unicodedata.category(char) == "Lo" and name.startswith(alone):
            assert has_ideograph(char), (hex(code), name)
        if name.startswith(joined):
            assert not has_ideograph(char), (hex(code), name)


def test_one_ideograph_in_a_word_is_enough():
    assert has_ideograph("ab天") and not has_ideograph("abc") and not has_ideograph("")
