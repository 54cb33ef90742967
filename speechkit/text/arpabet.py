"""ARPAbet, the phones of the CMU dictionary, from the English IPA of espeak-ng."""

from __future__ import annotations

import re

_VOWELS = {
    "iː": "IY",
    "i": "IY",
    "ɪ": "IH",
    "ᵻ": "IH",
    "eɪ": "EY",
    "ɛ": "EH",
    "e": "EH",
    "æ": "AE",
    "a": "AE",
    "ɑː": "AA",
    "ɑ": "AA",
    "ɒ": "AA",
    "ɔː": "AO",
    "ɔ": "AO",
    "oː": "AO",
    "oʊ": "OW",
    "əʊ": "OW",
    "o": "OW",
    "ʊ": "UH",
    "uː": "UW",
    "u": "UW",
    "ʌ": "AH",
    "ə": "AH",
    "ɐ": "AH",
    "ɜː": "ER",
    "ɚ": "ER",
    "aɪ": "AY",
    "aʊ": "AW",
    "ɔɪ": "OY",
}
_CONSONANTS = dict(
    zip(
        "pbtdkɡfvszhmnŋlɹrjwθðʃʒɾxʔ",
        "P B T D K G F V S Z HH M N NG L R R Y W TH DH SH ZH T K T".split(),
        strict=True,
    )
)
_CONSONANTS |= {"tʃ": "CH", "dʒ": "JH", "n̩": "AH0 N", "m̩": "AH0 M", "l̩": "AH0 L"}
_STRESS = {"ˈ": "1", "ˌ": "2"}
_PHONE = re.compile("|".join(sorted([*_VOWELS, *_CONSONANTS], key=len, reverse=True)))


def from_ipa(ipa: str) -> list[str]:
    """``həlˈoʊ`` -> ``HH AH0 L OW1``: stress is that of the mark before a vowel.

    Vowels before an r come apart (``ɔːɹ`` is ``AO R``) and a tapped ``ɾ`` is a T, as in the CMU dictionary.

    Raises:
        ValueError: a character is no phone of English; the message names it.
    """
    phones, stress, position = [], "0", 0
    while position < len(ipa):
        if mark := _STRESS.get(ipa[position]):
            stress, position = mark, position + 1
            continue
        match = _PHONE.match(ipa, position)
        if match is None:
            raise ValueError(f"{ipa}: expected English phones of espeak-ng, got {ipa[position]!r}; give phones in braces")
        if match[0] in _VOWELS:
            phones.append(_VOWELS[match[0]] + stress)
            stress = "0"
        else:
            phones += _CONSONANTS[match[0]].split()
        position = match.end()
    return phones
