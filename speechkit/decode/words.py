"""Words with times and confidences, from the tokens that a search found."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

from speechkit.decode.base import Hypothesis
from speechkit.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Word:
    """One spoken word; a character where the language is written without spaces.

    Args:
        word: As written.
        start: Seconds from the start of the utterance.
        end: Seconds; at least ``start``, at most the next word's ``start``.
        confidence: In [0, 1].
    """

    word: str
    start: float
    end: float
    confidence: float


def word_spans(hypothesis: Hypothesis, tokenizer: Tokenizer) -> list[tuple[str, int, int]]:
    """The words as (word, first, last): ``tokens[first:last]`` spells the word."""
    return tokenizer.word_spans(hypothesis.tokens) if hypothesis.words is None else hypothesis.words


def text(hypothesis: Hypothesis, tokenizer: Tokenizer) -> str:
    """What was said, as the tokens spell it, or as the words that the search found by a lexicon."""
    if hypothesis.words is None:
        return tokenizer.decode(hypothesis.tokens)
    return " ".join(word for word, _, _ in hypothesis.words)


def apart(spans: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Spans in order, of which those that begin together share what they have evenly, one after the other.

    So do the tokens that a transducer emits in one frame: each has a time of its own, which no other has.
    """
    found: list[tuple[float, float]] = []
    for start, together in itertools.groupby(spans, key=operator.itemgetter(0)):
        ends = [end for _, end in together]
        parts = [start + (max(ends) - start) * i / len(ends) for i in range(len(ends) + 1)]
        found += itertools.pairwise(parts)
    return found


def words(
    hypothesis: Hypothesis, tokenizer: Tokenizer, frame_shift: float, duration: float | None = None
) -> list[Word]:
    """The words of a hypothesis in order.

    A word lasts from the first frame of its first token to the last frame of its last one. CTC networks tend to give
    a token one or two frames in the middle of its sound, and transducers one after it has begun, so a word is rather too
    short than too long. Tokens of one frame share it. A word is as sure as its least sure token.

    Args:
        hypothesis: Tokens with times and confidences.
        tokenizer: What made the tokens; it says which of them belong to one word.
        frame_shift: Seconds per encoder frame (featurizer's ``frame_shift`` times ``subsampling_factor``).
        duration: Seconds of the utterance, which no time exceeds; the last frame may reach over its end.
    """
    limit = float("inf") if duration is None else duration
    found, times = [], apart(hypothesis.token_times)
    for word, first, last in word_spans(hypothesis, tokenizer):
        start = min(times[first][0] * frame_shift, limit)
        if found:
            start = max(start, found[-1].end)  # where one token spells parts of two words, the first one has its time
        end = max(start, min(times[last - 1][1] * frame_shift, limit))
        found.append(Word(word, start, end, min(hypothesis.confidences[first:last])))
    return found
