"""Normalizers: text as people write it becomes text as a recogniser spells it, or a voice speaks it."""

from __future__ import annotations

import unicodedata
from typing import Literal

from speechkit.config import Component, ComponentConfig


class Normalizer(Component, kind="normalizer"):
    """Base of all normalizers: pure functions of the text, and normalizing twice is normalizing once."""

    def __init__(self, config: ComponentConfig) -> None:
        self.config = config

    def __call__(self, text: str) -> str:
        """``text`` in its normal form."""
        raise NotImplementedError


class NoNormalizer(Normalizer, name="none"):
    """The text as it is."""

    def __call__(self, text: str) -> str:
        """``text`` itself."""
        return text


class BasicNormalizer(Normalizer, name="basic"):
    """For any language: one case, no punctuation or symbols, single spaces; letters, marks and digits stay."""

    class Config(ComponentConfig):
        case: Literal["lower", "upper", "keep"] = "lower"
        """Case of the letters."""
        strip_punctuation: bool = True
        """Put a space for every character that is no letter, mark or digit (before spaces are joined)."""
        keep: str = "'"
        """Characters that stay although they are punctuation or symbols; curly apostrophes become straight first."""
        spaces: Literal["single", "remove"] = "single"
        """One space between words, or none at all (Chinese, Japanese)."""
        form: Literal["NFC", "NFKC"] = "NFKC"
        """Unicode form; NFKC also makes full-width characters and ligatures plain."""

    def __call__(self, text: str) -> str:
        """``text`` with one case, without punctuation, with single spaces."""
        text = self._one_form(self._one_form(text.translate(_QUOTES)))
        if self.config.strip_punctuation:
            text = "".join(char if self._stays(char) else " " for char in text)
        text = ("" if self.config.spaces == "remove" else " ").join(text.split())
        return unicodedata.normalize(self.config.form, text)  # a letter and its mark may have come together

    def _one_form(self, text: str) -> str:
        text = unicodedata.normalize(self.config.form, drop_invisible(text)).translate(_QUOTES)
        return text if self.config.case == "keep" else getattr(text, self.config.case)()

    def _stays(self, char: str) -> bool:
        return unicodedata.category(char)[0] in "LMN" or char in self.config.keep


_QUOTES = str.maketrans("\u2018\u2019\u02bc\uff07`\u00b4", "''''''")


def drop_invisible(text: str) -> str:
    """``text`` without characters of no width: soft hyphen, byte order mark, zero-width space, direction marks."""
    return text if text.isascii() else "".join(char for char in text if unicodedata.category(char) != "Cf")


def plain_characters(text: str) -> str:
    """Compatibility characters in plain ones (NFKC) without gluing: ``10\u2074`` is ``10 4``, ``3\u00bd`` is ``3 1/2``.

    Digits of all scripts become 0-9, invisible characters vanish.
    """
    if text.isascii():
        return text
    text = "".join(_plain_character(char) for char in drop_invisible(text))
    return unicodedata.normalize("NFKC", text)


def _plain_character(char: str) -> str:
    if unicodedata.category(char) == "Nd":
        return str(unicodedata.decimal(char))
    apart = unicodedata.decomposition(char).startswith(("<super>", "<sub>", "<fraction>"))
    return f" {unicodedata.normalize('NFKC', char)}".replace("\u2044", "/") if apart else char
