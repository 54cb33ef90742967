"""Mandarin as initials and finals with tones, through pypinyin."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from types import ModuleType

from speechkit.text.scripts import IDEOGRAPHS
from speechkit.text.spoken import SpokenTokenizer

INITIALS = tuple("zh ch sh b p m f d t n l g k h j q x r z c s".split())
FINALS = frozenset(
    "a o e ê i u v ai ei ao ou an en ang eng ong er ia ie iao iou ian in iang ing iong io ua uo uai uei uan uen uang ueng "
    "ve van vn m n ng".split()
)
ERHUA = "rr"
"""The r that colours the syllable before it (``huar4``)."""

_SYLLABLE = re.compile("([a-zêü:]+?)(r?)([1-5])")
_Y = {"y": "i", "yi": "i", "yu": "v", "you": "iou"}
_CONTRACTED = {"iu": "iou", "ui": "uei", "un": "uen", "uê": "ve", "ue": "ve"}
_PIECE = re.compile(f"([{IDEOGRAPHS}]+)|([A-Za-z])|([^\\s'-])")


def split_syllable(syllable: str) -> list[str]:
    """``zhong1`` -> ``zh ong1``; a syllable without initial has only a final: ``yuan2`` -> ``van2``.

    Finals are written in full (``liu2`` is ``l iou2``), ü is ``v``, tones are 1 to 5 (5 is the neutral one), and the r of
    erhua follows as a token of its own.

    Raises:
        ValueError: it is no syllable of Mandarin with a tone.
    """
    match = _SYLLABLE.fullmatch(syllable)
    if match is not None:
        body, r, tone = match.groups()
        body, r = (body + r, "") if body == "e" else (body, r)  # er is a final of its own
        body = body.replace("u:", "v").replace("ü", "v")
        initial = next((each for each in INITIALS if body.startswith(each) and body != each), "")
        final = _full_final(initial, body.removeprefix(initial))
        if body in ("ng", "n", "m"):
            initial, final = "", body
        if final in FINALS:
            return [*([initial] if initial else []), f"{final}{tone}", *([ERHUA] if r else [])]
    raise ValueError(f"{syllable!r}: expected a syllable of Mandarin with its tone, as zhong1 or lv4; correct it")


def _full_final(initial: str, rest: str) -> str:
    if initial in ("j", "q", "x") and rest.startswith("u"):
        return f"v{rest[1:]}"
    if initial:
        return _CONTRACTED.get(rest, rest)
    if rest.startswith("w"):
        return _CONTRACTED.get(f"u{rest[1:]}", f"u{rest[1:]}") if rest != "wu" else "u"
    if rest.startswith("yu"):
        return f"v{rest[2:]}"
    if rest.startswith("yi"):
        return rest[1:]
    return _Y.get(rest, f"i{rest[1:]}") if rest.startswith("y") else rest


class PinyinTokenizer(SpokenTokenizer, name="pinyin"):
    """Characters become initials and finals with tones (``zh ong1``); decode gives them with one space between.

    pypinyin reads characters in the phrases that it knows (银行 yin2 hang2, 行为 xing2 wei2). Latin letters are tokens by
    themselves, in capitals. Chinese has no spaces, so there are boundaries only where the text has spaces; syllables in
    braces are taken as they are: ``{ni2 hao3}``.
    """

    class Config(SpokenTokenizer.Config):
        tone_sandhi: bool = True
        """Tones as they are spoken side by side: 你好 is ni2 hao3, 你不是 is ni3 bu2 shi4. Without it, only the phrases that
        pypinyin knows that way (一个 yi2 ge4) are."""

    alphabet = "x-pinyin"
    _begins_with_space = True

    def _words(self, run: str) -> Iterable[list[str]]:
        return (list(self._read(word)) for word in run.split())

    def _read(self, word: str) -> Iterator[str]:
        for characters, letter, other in _PIECE.findall(word):
            if characters:
                yield from self._read_characters(characters)
            else:
                yield letter.upper() or self._no_sound(other)

    def _read_characters(self, characters: str) -> Iterator[str]:
        package = pypinyin()
        syllables = package.lazy_pinyin(
            characters,
            style=package.Style.TONE3,
            neutral_tone_with_five=True,
            tone_sandhi=self.config.tone_sandhi,
            errors=list,  # characters that it does not know, one by one
        )
        for character, syllable in zip(characters, syllables, strict=True):
            try:
                yield from split_syllable(syllable)
            except ValueError:
                yield self._no_sound(character)

    def _override(self, phones: str) -> list[str]:
        return [symbol for syllable in phones.split() for symbol in split_syllable(syllable)]

    def _surface(self, token: str) -> str:
        return f" {token}"


def pypinyin() -> ModuleType:
    """The package ``pypinyin``.

    Raises:
        ValueError: It is not installed.
    """
    try:
        return importlib.import_module("pypinyin")
    except ImportError as error:
        raise ValueError(
            f"pinyin tokenizer: expected the package pypinyin, got {error}; run `pip install 'speechkit[tts]'`"
        ) from error
