"""Characters or words as tokens: the vocabulary is what occurs in the training text."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import pydantic

from speechkit.text.tokenizer import Tokenizer


class CountingTokenizer(Tokenizer):
    """Base of tokenizers whose vocabulary is the symbols of the training text, in the order of their code points."""

    class Config(Tokenizer.Config):
        min_count: pydantic.PositiveInt = 1
        """A symbol seen fewer times stays outside the vocabulary; above 1, set ``unknown: token`` as well."""

    def _learn(self, texts: Iterable[str]) -> list[str]:
        counts: collections.Counter[str] = collections.Counter()
        for text in texts:
            counts.update(self._split(text))
        kept = [symbol for symbol, count in counts.items() if count >= self.config.min_count]
        if not kept:
            raise ValueError(
                f"{self.config.name} tokenizer: expected text to learn from, got no symbol that occurs "
                f"{self.config.min_count} times; give it the training transcripts"
            )
        return self._select(kept, counts)

    def _select(self, symbols: list[str], counts: collections.Counter[str]) -> list[str]:
        return sorted(symbols)


class CharTokenizer(CountingTokenizer, name="char"):
    """One token per character (Unicode code point), spaces included: encode and decode are exact inverses."""

    def _split(self, text: str) -> list[str]:
        return list(text)


class WordTokenizer(CountingTokenizer, name="word"):
    """One token per word between spaces; decode puts one space between words."""

    class Config(CountingTokenizer.Config):
        max_words: pydantic.PositiveInt | None = None
        """Keep only this many words, the most frequent ones (equally frequent: in order of code points)."""

    _begins_with_space = True

    def _split(self, text: str) -> list[str]:
        return text.split()

    def _select(self, symbols: list[str], counts: collections.Counter[str]) -> list[str]:
        frequent = sorted(symbols, key=lambda word: (-counts[word], word))
        return sorted(frequent[: self.config.max_words])

    def _surface(self, token: str) -> str:
        return f" {token}"
