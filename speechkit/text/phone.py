"""Phones by lexicon as tokens."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from speechkit.text.lexicon import Lexicon
from speechkit.text.tokenizer import BLANK, SOS_EOS, UNK, Tokenizer

_LEXICON_FILE = "lexicon.txt"


class PhoneTokenizer(Tokenizer, name="phone"):
    """Words become the phones of their first pronunciation; decode gives phones with one space between them.

    The vocabulary is all phones of the lexicon, whatever the text. Phones carry no word boundaries, so
    :meth:`word_spans` gives one "word" per phone: words come from a search with the lexicon. :meth:`save` keeps
    the lexicon beside the tokens, and a loaded tokenizer no longer needs the file that the config names.
    """

    class Config(Tokenizer.Config):
        lexicon: str
        """Path of the lexicon: lines of a word and its phones; with ``unknown: token`` other words are ``<unk>``."""

        @property
        def input_files(self) -> tuple[Path, ...]:
            return (Path(self.lexicon),)

    _files_beside_tokens = (_LEXICON_FILE,)
    _begins_with_space = True

    def encode(self, text: str) -> list[int]:
        """Token ids of the phones of ``text``'s words.

        Raises:
            ValueError: a word is not in the lexicon and ``unknown`` is ``error``.
        """
        self._check_trained()
        ids = []
        for word in text.split():
            if word in self.lexicon:
                ids += [self._ids[phone] for phone in self.lexicon[word][0].phones]
            else:
                self._meet_unknown(word, text)
                ids.append(self.unk_id)
        return ids

    def _meet_unknown(self, symbol: str, text: str) -> None:
        if self.config.unknown == "error":
            raise ValueError(
                f"phone tokenizer: the word {symbol!r} in {text!r} is not among the {len(self.lexicon)} words "
                f"of the lexicon {self.config.lexicon}; add it there, or set tokenizer.unknown: token"
            )

    def _learn(self, texts: Iterable[str]) -> list[str]:
        self.lexicon = Lexicon.read(self.config.lexicon)
        phones = self.lexicon.phones
        for reserved in (BLANK, UNK, SOS_EOS):
            if reserved in phones:
                raise ValueError(f"{self.config.lexicon}: the phone {reserved!r} has a reserved name; rename it")
        return phones

    def _surface(self, token: str) -> str:
        return f" {token}"

    def _to_files(self) -> dict[str, bytes]:
        return {**super()._to_files(), _LEXICON_FILE: self.lexicon.format().encode()}

    def _from_files(self, files: dict[str, bytes]) -> None:
        self.lexicon = Lexicon.parse(files[_LEXICON_FILE], source=_LEXICON_FILE)
        super()._from_files(files)
