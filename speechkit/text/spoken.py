"""Tokenizers for synthesis: speech sounds, marks of punctuation, and borders of words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar

from speechkit.text.punctuation import MARKS, plain_marks
from speechkit.text.scripts import IDEOGRAPHS
from speechkit.text.tokenizer import BLANK, SOS_EOS, UNK, Tokenizer

BOUNDARY = "|"
"""The token between two words."""

# A mark between digits (3.5, 10:30), and a period between letters (U.S.), is no pause; nor is the hyphen of a word.
_LATIN = rf"[^\W{IDEOGRAPHS}]"
_BORDER = re.compile(
    r"\{(?P<override>[^{}]*)\}"
    rf"|(?P<mark>[,;:](?!(?<=[0-9].)[0-9])|\.(?!(?<={_LATIN}.){_LATIN})|[?!]|(?<!\S)-(?!\S))"
)
_STAND_INS = {"?": ".!,", "!": ".?,", ".": ",;:", ";": ":,.", ":": ";,.", "-": ",;:.", ",": ";:-.", BOUNDARY: ""}
_CLOSE_TO_WORDS = MARKS.replace("-", "")
_SILENT = str.maketrans(dict.fromkeys('"“”«»「」『』《》()[]（）【】', " "))


class SpokenTokenizer(Tokenizer):
    """Base of tokenizers for synthesis.

    A text becomes sounds, word by word; the marks ``. , ? ! ; : -`` are tokens of their own; :data:`BOUNDARY` stands
    where a space was. Phones in curly braces (``{AW1 S}``) are taken as they are. Numbers and abbreviations are a
    normalizer's business (``punctuation: keep``).

    A mark that the training texts did not have is spoken as its next of kin, or as nothing at all: it is no sound, and
    a voice that never saw a question is better asked without its mark than not at all. Every other unknown symbol is
    an error that shows it, or ``<unk>``, as the config says.
    """

    class Config(Tokenizer.Config):
        word_boundaries: bool = True
        """Whether a token stands between words; without it, words run into each other as in speech."""

    alphabet: ClassVar[str]
    """What ``<phoneme alphabet="...">`` calls the sounds of this kind."""

    def _words(self, run: str) -> Iterable[list[str]]:
        """The sounds of each word in ``run``, which holds no marks and no overrides; see :meth:`_no_sound`."""
        raise NotImplementedError

    def _override(self, phones: str) -> list[str]:
        """The tokens of phones that were given in braces."""
        return phones.split()

    def _known_beforehand(self) -> set[str]:
        """Sounds that are tokens whatever the texts."""
        return set()

    def _learn(self, texts: Iterable[str]) -> list[str]:
        learned = {symbol for text in texts for symbol in self._sounds(text) if not _is_no_sound(symbol)}
        learned |= self._known_beforehand()
        if not learned - {BOUNDARY, *MARKS}:
            raise ValueError(
                f"{self.config.name} tokenizer: expected text to learn from, got none with a sound; give it the "
                "training transcripts"
            )
        for reserved in (BLANK, UNK, SOS_EOS):
            if reserved in learned:
                raise ValueError(f"{self.config.name} tokenizer: the sound {reserved!r} has a reserved name; rename it")
        return sorted(learned)

    def _split(self, text: str) -> list[str]:
        known = (symbol if symbol in self._ids else self._stand_in(symbol) for symbol in self._sounds(text))
        return [symbol for symbol in known if symbol]

    def _stand_in(self, symbol: str) -> str:
        if symbol not in _STAND_INS:
            return symbol
        return next((other for other in _STAND_INS[symbol] if other in self._ids), "")

    def _sounds(self, text: str) -> list[str]:
        """All symbols of ``text``, known or not; a boundary stands between words only."""
        symbols: list[str] = []
        for symbol in self._raw_sounds(plain_marks(text).translate(_SILENT)):
            if symbols and symbols[-1] == BOUNDARY and (symbol == BOUNDARY or symbol in _CLOSE_TO_WORDS):
                symbols.pop()
            if symbol != BOUNDARY or (self.config.word_boundaries and symbols):
                symbols.append(symbol)
        return symbols[:-1] if symbols and symbols[-1] == BOUNDARY else symbols

    def _raw_sounds(self, text: str) -> Iterator[str]:
        position = 0
        for border in _BORDER.finditer(text):
            yield from self._run_sounds(text[position : border.start()])
            yield from [border["mark"]] if border["mark"] else self._override(border["override"])
            position = border.end()
        yield from self._run_sounds(text[position:])

    def _run_sounds(self, run: str) -> Iterator[str]:
        if run[:1].isspace():
            yield BOUNDARY
        for number, word in enumerate(self._words(run) if run.strip() else ()):
            if number:
                yield BOUNDARY
            yield from word
        if run[-1:].isspace():
            yield BOUNDARY

    def _no_sound(self, written: str) -> str:
        """The symbol of something ``written`` that has no sounds here; it is never a token."""
        return f"<{written}>"

    def _meet_unknown(self, symbol: str, text: str) -> None:
        super()._meet_unknown(symbol[1:-1] if _is_no_sound(symbol) else symbol, text)


def _is_no_sound(symbol: str) -> bool:
    return len(symbol) > 2 and symbol[0] == "<" and symbol[-1] == ">"
