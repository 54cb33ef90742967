"""The International Phonetic Alphabet as tokens, in any language that espeak-ng reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from speechkit.text import espeak
from speechkit.text.scripts import IDEOGRAPHS
from speechkit.text.spoken import BOUNDARY, SpokenTokenizer

_STRESS = str.maketrans(dict.fromkeys("ˈˌ"))
_FOREIGN = re.compile(f"([{IDEOGRAPHS}]+)")
_READS_IDEOGRAPHS = ("cmn", "yue", "hak", "ja")


class IpaTokenizer(SpokenTokenizer, name="ipa"):
    """Text as espeak-ng reads it; decode gives the transcription, one space between words.

    Clauses are read as a whole, since neighbours change how a word is said ("the" before a vowel, some heteronyms: see
    :mod:`speechkit.text.espeak`). A word is what espeak-ng speaks as one: "of the" may be one word. Characters of
    Chinese and Japanese are unknown symbols in other languages, where espeak-ng would say "Chinese letter".

    In braces, IPA is given as it is: ``{h ə l ˈoʊ}``, spaces as you like for characters, between phones for phones. What
    stands before and behind is read as two clauses, so a small word there may get a stress that it would not have had.
    """

    class Config(SpokenTokenizer.Config):
        language: str = "en-us"
        """A voice of espeak-ng: en-us, en-gb, cmn (Mandarin), de, fr-fr, es, ru ..."""
        units: Literal["character", "phone"] = "character"
        """One token per IPA character, as VITS has them (few, all seen in training), or per phone with its stress and
        length (``ˈoʊ``: fewer tokens per word, whose durations mean something)."""
        stress: bool = True
        """Whether the stress marks ˈ and ˌ stay."""

    alphabet = "ipa"

    def _words(self, run: str) -> Iterable[list[str]]:
        pieces = [run] if self.config.language.startswith(_READS_IDEOGRAPHS) else _FOREIGN.split(run)
        for number, piece in enumerate(pieces):
            if number % 2:
                yield [self._no_sound(piece)]
            else:
                yield from (self._units(word) for word in espeak.read(piece, self.config.language))

    def _override(self, phones: str) -> list[str]:
        return self._units(phones.split())

    def _units(self, phones: Iterable[str]) -> list[str]:
        plain = [phone if self.config.stress else phone.translate(_STRESS) for phone in phones]
        return list("".join(plain)) if self.config.units == "character" else plain

    def _surface(self, token: str) -> str:
        return " " if token == BOUNDARY else token
