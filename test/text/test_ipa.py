import pytest

from speechkit.text.ipa import IpaTokenizer


def fitted(*texts, **options):
    tokenizer = IpaTokenizer.Config(**options).build()
    tokenizer.fit(texts)
    return tokenizer


TEXT = "Hello, world - of the end? Yes."
IPA = "həlˈoʊ, wˈɜːld - ʌvðɪ ˈɛnd? jˈɛs."


@pytest.mark.parametrize("units", ["character", "phone"])
def test_decoding_gives_the_transcription(units):
    tokenizer = fitted(TEXT, units=units)
    assert tokenizer.decode(tokenizer.encode(TEXT)) == IPA


def test_characters_or_phones_are_the_tokens():
    assert fitted("hello", units="character").tokens[2:-1] == sorted("həlˈoʊ")
    assert fitted("hello", units="phone").tokens[2:-1] == ["h", "l", "ə", "ˈoʊ"]


def test_stress_and_boundaries_can_go():
    tokenizer = fitted(TEXT, stress=False, word_boundaries=False)
    assert tokenizer.decode(tokenizer.encode(TEXT)) == IPA.replace("ˈ", "").replace(" ", "")


def test_a_clause_is_read_as_a_whole():
    tokenizer = fitted("the apple and the cat, the end")
    decoded = tokenizer.decode(tokenizer.encode("the apple, the cat"))
    assert decoded.startswith("ðɪ ˈæpəl, ðə")


@pytest.mark.parametrize(("units", "override"), [("character", "{ɹˈɛd}"), ("character", "{ɹ ˈɛ d}"), ("phone", "{ɹ ˈɛ d}")])
def test_braces_say_how_a_heteronym_is_meant(units, override):
    tokenizer = fitted("They read a red book. They. A book.", units=units)
    assert tokenizer.decode(tokenizer.encode("They read a book")) == "ðeɪ ɹˈiːd ɐ bˈʊk"
    assert tokenizer.decode(tokenizer.encode(f"They {override} a book")) == "ðeɪ ɹˈɛd ɐ bˈʊk"


def test_ideographs_are_unknown_in_english_and_read_in_mandarin():
    with pytest.raises(ValueError, match="'你好' in 'hello 你好' is outside the vocabulary"):
        fitted("hello").encode("hello 你好")
    assert fitted("你好", language="cmn").encode("你好")
    assert not any("你" in token for token in fitted("hello 你好").tokens)


def test_an_unknown_phone_is_shown():
    with pytest.raises(ValueError, match="ipa tokenizer: 'z' in 'zoo' is outside the vocabulary"):
        fitted("the cat").encode("zoo")


def test_spans_are_words_with_their_marks():
    tokenizer = fitted(TEXT)
    ids = tokenizer.encode("hello, world.")
    assert [word for word, _, _ in tokenizer.word_spans(ids)] == ["həlˈoʊ,", "wˈɜːld."]


@pytest.mark.corpus
@pytest.mark.parametrize("units", ["character", "phone"])
def test_the_inventory_of_real_transcripts_is_small(corpora, units):
    lines = (corpora / "ljspeech/LJSpeech-1.1/metadata.csv").read_text(encoding="utf-8").splitlines()
    texts = [line.split("|")[2] for line in lines]
    tokenizer = fitted(*texts, units=units)
    assert tokenizer.vocab_size < (70 if units == "character" else 150)
    assert all(tokenizer.encode(text) for text in texts)
