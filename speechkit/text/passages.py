"""A text as what is said without a break: sentences, and parts of them in different manners, with the silence between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

from speechkit.text.sentences import split_sentences
from speechkit.text.ssml import Span, parse_ssml

_PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Pauses:
    """Silence that is put between what is said, in seconds. Voices are mostly trained on sentences without any at the ends."""

    phrase: float = 0.15
    """Behind a part of a sentence that was too long to be said at once."""
    sentence: float = 0.35
    """Behind a sentence."""
    paragraph: float = 0.75
    """Behind the last sentence before an empty line, or of a ``<p>``."""


@dataclass(frozen=True)
class Passage:
    """What is said at once, in one manner."""

    text: str
    """Plain text, or phones in curly braces; empty where there is only silence."""
    rate: float = 1.0
    """Speed: 2 is twice as fast."""
    pitch: float = 0.0
    """Semitones above the voice's own."""
    pause: float = 0.0
    """Seconds of silence behind it; none behind the last passage but what the markup asks for."""


def split_passages(
    text: str, alphabet: str | None = None, max_length: int | None = None, pauses: Pauses = Pauses()
) -> list[Passage]:
    """The passages of a text, in order.

    Args:
        text: Plain text, or SSML as :func:`~speechkit.text.ssml.parse_ssml` takes it.
        alphabet: Of the voice's phones.
        max_length: Characters of a passage; see :func:`~speechkit.text.sentences.split_sentences`.
        pauses: Between passages.

    Raises:
        ValueError: The markup cannot be read.
    """
    spans = parse_ssml(text, alphabet)
    found: list[Passage] = []
    for span, following in zip_longest(spans, spans[1:]):
        passages = list(_passages(span, max_length, pauses))
        pause = 0.0 if following is None else _pause_between(span, following, pauses)
        found += [*passages[:-1], replace(passages[-1], pause=pause + span.pause)]
    return found


def _passages(span: Span, max_length: int | None, pauses: Pauses) -> Iterator[Passage]:
    """The passages of a span; the pause behind the last one is not known here."""
    for paragraph in _PARAGRAPH.split(span.text):
        sentences = split_sentences(paragraph)
        for number, sentence in enumerate(sentences, start=1):
            *parts, last = split_sentences(sentence, max_length)
            for part in parts:
                yield Passage(part, span.rate, span.pitch, pauses.phrase)
            yield Passage(last, span.rate, span.pitch, pauses.paragraph if number == len(sentences) else pauses.sentence)
    if not span.text.strip():
        yield Passage("", span.rate, span.pitch)


def _pause_between(span: Span, following: Span, pauses: Pauses) -> float:
    if span.ends_paragraph:
        return pauses.paragraph
    return pauses.sentence if _ends_sentence(span, following) else 0.0


def _ends_sentence(span: Span, following: Span) -> bool:
    """Whether a sentence is over where the manner changes: one goes on in "a <prosody>loud</prosody> cry"."""
    if span.ends_sentence or not span.text or not following.text:
        return bool(span.text)
    last = split_sentences(span.text)[-1]
    return split_sentences(f"{last} {following.text}")[0] == last
