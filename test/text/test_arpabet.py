import pytest

from speechkit.text import arpabet, espeak


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("həlˈoʊ", "HH AH0 L OW1"),
        ("wˈɜːld", "W ER1 L D"),
        ("tʃˈaɪniːz", "CH AY1 N IY0 Z"),
        ("dʒˈʌdʒ", "JH AH1 JH"),
        ("bˈʌʔn̩", "B AH1 T AH0 N"),
        ("", ""),
    ],
)
def test_ipa_becomes_arpabet(ipa, phones):
    assert arpabet.from_ipa(ipa) == phones.split()


# Entries of the CMU Pronouncing Dictionary (cmudict.dict) that espeak-ng agrees with.
@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("cat", "K AE1 T"),
        ("judge", "JH AH1 JH"),
        ("north", "N AO1 R TH"),
        ("measure", "M EH1 ZH ER0"),
        ("city", "S IH1 T IY0"),
        ("about", "AH0 B AW1 T"),
        ("strange", "S T R EY1 N JH"),
        ("boy", "B OY1"),
        ("thing", "TH IH1 NG"),
        ("yellow", "Y EH1 L OW0"),
        ("father", "F AA1 DH ER0"),
    ],
)
def test_what_espeak_reads_is_what_the_dictionary_says(word, phones):
    [spoken] = espeak.read(word, "en-us")
    assert arpabet.from_ipa("".join(spoken)) == phones.split()


def test_what_is_no_english_phone_is_named():
    with pytest.raises(ValueError, match="tɕˈa: expected English phones of espeak-ng, got 'ɕ'"):
        arpabet.from_ipa("tɕˈa")


@pytest.mark.corpus
def test_everything_that_espeak_says_in_real_transcripts_has_phones(corpora):
    lines = (corpora / "ljspeech/LJSpeech-1.1/metadata.csv").read_text(encoding="utf-8").splitlines()
    vowels = sum(
        phone[-1] in "012"
        for line in lines
        for word in espeak.read(line.split("|")[2], "en-us")
        for phone in arpabet.from_ipa("".join(word))
    )
    assert vowels > 9000
