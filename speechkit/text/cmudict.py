"""ARPAbet phones by a dictionary in the format of the CMU Pronouncing Dictionary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from speechkit.text import arpabet, espeak
from speechkit.text.lexicon import Lexicon, Pronunciation
from speechkit.text.spoken import SpokenTokenizer

_LEXICON_FILE = "lexicon.txt"
_VARIANT = re.compile(r"\([0-9]+\)$")
_SIBILANTS, _VOICELESS = {"S", "Z", "SH", "ZH", "CH", "JH"}, {"P", "T", "K", "F", "TH"}


def read_cmudict(path: Path | str) -> Lexicon:
    """Read lines ``WORD  PH PH ...``; words in lower case, ``WORD(1)`` as one more pronunciation of the word.

    Comments (lines that begin with ``;;;``, and what follows a ``#``) and the names of signs (``!EXCLAMATION-POINT``)
    are left out. Both the 0.7b release (Latin-1) and the later cmudict.dict (UTF-8) are read.

    Raises:
        OSError: the file cannot be read.
        ValueError: a word has no phones, or there are no words; the message names file and line.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise type(error)(error.errno, f"{path}: cannot read the dictionary: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    entries: dict[str, list[Pronunciation]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        word, *phones = line.partition("#")[0].split() or [""]
        if not word or not (word[0].isalpha() or (word[0] == "'" and word[1:2].isalpha())):
            continue
        if not phones:
            raise ValueError(f"{path}:{number}: expected a word and its phones, got {line!r}; correct the line")
        entries.setdefault(_VARIANT.sub("", word.lower()), []).append(Pronunciation(tuple(phones)))
    if not entries:
        raise ValueError(f"{path}: expected lines of a word and its phones, got none; give a dictionary like CMUdict")
    return Lexicon({word: tuple(dict.fromkeys(entry)) for word, entry in entries.items()})


class CmudictTokenizer(SpokenTokenizer, name="cmudict"):
    """Words become the phones of their first pronunciation; decode gives phones with one space between them.

    A word that is not in the dictionary is tried without its quotes, as a possessive, and as the parts of a compound
    with hyphens; then ``fallback`` decides. Which of several pronunciations is meant, nobody asks: ``{R EH1 D}`` in
    the text says it. :meth:`save` keeps the dictionary beside the tokens.
    """

    class Config(SpokenTokenizer.Config):
        dictionary: str
        """Path of the dictionary: lines of a word and its phones, as in CMUdict."""
        fallback: Literal["none", "spell", "espeak"] = "espeak"
        """Words that are not in it: ``espeak`` reads them by the rules of espeak-ng (en-us), ``spell`` says the names of
        their letters (which must be in the dictionary), ``none`` takes them for unknown symbols."""

        @property
        def input_files(self) -> tuple[Path, ...]:
            return (Path(self.dictionary),)

    alphabet = "x-arpabet"
    _files_beside_tokens = (_LEXICON_FILE,)
    _begins_with_space = True

    def _learn(self, texts: Iterable[str]) -> list[str]:
        self.lexicon = read_cmudict(self.config.dictionary)
        return super()._learn(texts)

    def _known_beforehand(self) -> set[str]:
        return set(self.lexicon.phones)

    def _words(self, run: str) -> Iterable[list[str]]:
        return (self._pronounce(word) for word in run.split())

    def _pronounce(self, written: str) -> list[str]:
        word = written.lower()
        phones = self._look_up(word) or self._look_up(word.strip("'")) or self._possessive(word)
        return phones or self._compound(word) or self._fall_back(word) or [self._no_sound(written)]

    def _look_up(self, word: str) -> list[str]:
        return list(self.lexicon[word][0].phones) if word in self.lexicon else []

    def _possessive(self, word: str) -> list[str]:
        owner = self._look_up(word.removesuffix("'s")) if word.endswith("'s") else []
        if not owner:
            return []
        if owner[-1] in _SIBILANTS:
            return [*owner, "IH0", "Z"]
        return [*owner, "S" if owner[-1] in _VOICELESS else "Z"]

    def _compound(self, word: str) -> list[str]:
        parts = [self._look_up(part) for part in word.split("-")]
        return [phone for part in parts for phone in part] if all(parts) else []

    def _fall_back(self, word: str) -> list[str]:
        if self.config.fallback == "espeak" and word.isascii():
            return arpabet.from_ipa("".join(phone for spoken in espeak.read(word, "en-us") for phone in spoken))
        names = [self._look_up(letter) for letter in word if letter not in "'-"]
        return [phone for name in names for phone in name] if self.config.fallback == "spell" and all(names) else []

    def _surface(self, token: str) -> str:
        return f" {token}"

    def _to_files(self) -> dict[str, bytes]:
        return {**super()._to_files(), _LEXICON_FILE: self.lexicon.format().encode()}

    def _from_files(self, files: dict[str, bytes]) -> None:
        self.lexicon = Lexicon.parse(files[_LEXICON_FILE], source=_LEXICON_FILE)
        super()._from_files(files)
