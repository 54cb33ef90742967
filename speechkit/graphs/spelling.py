"""How words are made of a model's tokens: by its tokenizer, or by a lexicon of pronunciations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from speechkit.text.lexicon import Lexicon
from speechkit.text.phone import PhoneTokenizer
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary

Spelling = tuple[int, ...]
"""Token ids of one way to write or say a word; never empty."""


@dataclass(frozen=True)
class Spellings:
    """The words that can be recognised, each with its spellings.

    Word ids have the layout of all vocabularies: 0 is the epsilon, 1 is ``<unk>``, then come the words in order, and the
    last id stands for both ends of a sentence.

    Args:
        words: word -> its spellings, each with its cost (nats, at least 0).
        separator: Tokens between two words: the space of a character tokenizer; empty where tokens hold the space.
    """

    words: Mapping[str, Mapping[Spelling, float]]
    separator: Spelling = ()
    ids: dict[str, int] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", {word: number for number, word in enumerate(sorted(self.words), start=2)})

    @property
    def vocabulary(self) -> Vocabulary:
        """Of words."""
        return Vocabulary(len(self.ids) + 3)

    @property
    def backoff_label(self) -> int:
        """The label of #0 among words: the first that is no word."""
        return self.vocabulary.size

    def segment(self, words: Sequence[str], tokens: Sequence[int]) -> list[tuple[str, int, int]]:
        """Which tokens spell which word: (word, first, last), ``last`` exclusive.

        Args:
            words: The words that a path through the graph says.
            tokens: The tokens of the same path.
        """
        tokens, ends = tuple(tokens), [{0: 0}]  # for each word the places where it can end, and where it then begins
        for number, word in enumerate(words):
            gap = self.separator if number else ()
            starts = [end + len(gap) for end in ends[-1] if tokens[end : end + len(gap)] == gap]
            ends.append(
                {start + len(s): start for start in starts for s in self.words[word] if tokens[start : start + len(s)] == s}
            )
        assert len(tokens) in ends[-1], (words, tokens)
        spans, end = [], len(tokens)
        for number in range(len(words), 0, -1):
            start = ends[number][end]
            spans.append((words[number - 1], start, end))
            end = start - len(self.separator if number > 1 else ())
        return spans[::-1]


def spell(words: Iterable[str], tokenizer: Tokenizer, lexicon: Lexicon | None = None) -> tuple[Spellings, list[str]]:
    """The spellings of ``words``, and the words that have none.

    Args:
        words: Any number of times each.
        tokenizer: Of the model.
        lexicon: Pronunciations in the tokenizer's tokens; without one a phone tokenizer's own is taken, and other
            tokenizers spell the words themselves.

    Raises:
        ValueError: The lexicon has a phone that is none of the tokens, or the tokenizer spells words differently within a
            sentence than alone.
    """
    words = sorted(set(words))
    if lexicon is None and isinstance(tokenizer, PhoneTokenizer):
        lexicon = tokenizer.lexicon
    if lexicon is not None:
        spellings, separator = {word: _pronounced(word, lexicon, tokenizer) for word in words if word in lexicon}, ()
    else:
        spellings, separator = _written(words, tokenizer)
    return Spellings(spellings, separator), [word for word in words if word not in spellings]


def _pronounced(word: str, lexicon: Lexicon, tokenizer: Tokenizer) -> dict[Spelling, float]:
    spellings: dict[Spelling, float] = {}
    for spoken in lexicon[word]:
        unknown = [phone for phone in spoken.phones if phone not in tokenizer.tokens[2:-1]]
        if unknown:
            raise ValueError(
                f"lexicon: expected phones among the {tokenizer.vocab_size} tokens of the model, got {unknown[0]!r} in "
                f"{word!r}; take the lexicon that the model was trained with"
            )
        tokens = tuple(tokenizer.tokens.index(phone) for phone in spoken.phones)
        spellings[tokens] = min(spellings.get(tokens, math.inf), -math.log(spoken.probability))
    return spellings


def _written(words: Sequence[str], tokenizer: Tokenizer) -> tuple[dict[str, dict[Spelling, float]], Spelling]:
    alone = {word: tokens for word in words if (tokens := _encode(word, tokenizer))}
    if not alone:
        return {}, ()
    first, tokens = next(iter(alone.items()))
    separator = tuple(tokenizer.encode(f"{first} {first}"))[len(tokens) : -len(tokens)]
    for word, spelling in alone.items():
        within = tuple(tokenizer.encode(f"{first} {word}"))
        if within != tokens + separator + spelling:
            raise ValueError(
                f"{tokenizer.config.name} tokenizer: expected {word!r} to be spelled alike alone and behind {first!r}, got "
                f"{spelling} and {within}; words of such tokens are no graph"
            )
    return {word: {tokens: 0.0} for word, tokens in alone.items()}, separator


def _encode(word: str, tokenizer: Tokenizer) -> Spelling:
    """Token ids, none if a symbol of the word is unknown."""
    try:
        tokens = tuple(tokenizer.encode(word))
    except ValueError:
        return ()
    return () if tokenizer.unk_id in tokens else tokens
