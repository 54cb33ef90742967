"""Transcripts as people and players read them: text, JSON, SubRip (SRT) and WebVTT, from words with times."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps
from typing import Any

from pydantic import Field

from speechkit.config import Config
from speechkit.decode.words import Word

SENTENCE_END = re.compile(r"[.!?…。！？]['\"”’)\]」』）]*$")
CLAUSE_END = re.compile(r"[,;:，、；：]['\"”’)\]」』）]*$")


class SubtitleConfig(Config):
    """How a transcript is cut into cues. The defaults suit Latin scripts and, at two columns a character, Chinese."""

    max_chars: int = Field(42, ge=1)
    """Columns per line; an East Asian wide character takes two. A longer word has a line for itself."""
    max_lines: int = Field(2, ge=1)
    """Lines per cue."""
    max_duration: float = Field(7.0, gt=0.0)
    """Seconds that a cue lasts at most; a longer word has a cue for itself."""
    max_pause: float = Field(0.8, gt=0.0)
    """Seconds of silence within a cue; a longer pause starts a new one."""
    min_duration: float = Field(1.0, ge=0.0)
    """Seconds that a cue stays on the screen at least, if the next one does not start before."""


@dataclass(frozen=True)
class Cue:
    """What is on the screen at one time.

    Args:
        start: Seconds.
        end: Seconds, after ``start``; not after the next cue's start, except where two cues start together.
        lines: The text, at least one line, without line breaks.
        words: The words in it.
    """

    start: float
    end: float
    lines: list[str]
    words: list[Word]


DEFAULT = SubtitleConfig()


def make_cues(words: Sequence[Word], config: SubtitleConfig = DEFAULT) -> list[Cue]:
    """Cut a transcript into cues at sentence ends and long pauses; halve what is still too long where it hurts least.

    Args:
        words: In order of time.
        config: The limits.

    Raises:
        ValueError: a word ends before it starts, or starts before the one in front of it.
    """
    sentences = _sentences(_checked(words), config.max_pause)
    blocks = [block for sentence in sentences for block in _cut(sentence, config)]
    starts = [round(block[0].start, 3) for block in blocks]  # so that written times keep the order of these
    cues = []
    for block, start, next_start in zip(blocks, starts, [*starts[1:], float("inf")]):
        end = min(max(round(block[-1].end, 3), start + config.min_duration), next_start)
        end = max(end, start + 0.001)  # players drop a cue that lasts no millisecond
        cues.append(Cue(start, end, _balanced_lines(block, config.max_chars), block))
    return cues


def text(words: Sequence[Word], config: SubtitleConfig = DEFAULT) -> str:
    """Plain text, a line per sentence; a pause longer than ``config.max_pause`` ends one too."""
    sentences = _sentences(_checked(words), config.max_pause)
    return "".join(f"{join_words([word.word for word in sentence])}\n" for sentence in sentences)


def json(words: Sequence[Word], config: SubtitleConfig = DEFAULT) -> str:
    """JSON: ``{"text", "segments": [{"start", "end", "text", "words": [{"word", "start", "end", "confidence"}]}]}``.

    A segment is a cue; it ends with its last word, not with its time on the screen. Seconds, to the millisecond.
    """
    cues = make_cues(words, config)
    everything = join_words([word.word for cue in cues for word in cue.words])
    return dumps({"text": everything, "segments": [_segment(cue) for cue in cues]}, ensure_ascii=False, indent=2) + "\n"


def srt(words: Sequence[Word], config: SubtitleConfig = DEFAULT) -> str:
    """SubRip: numbered cues from 1, ``HH:MM:SS,mmm --> HH:MM:SS,mmm``, the lines, an empty line."""
    return "".join(
        f"{number}\n{_timestamp(cue.start, ',')} --> {_timestamp(cue.end, ',')}\n" + "\n".join(cue.lines) + "\n\n"
        for number, cue in enumerate(make_cues(words, config), start=1)
    )


def vtt(words: Sequence[Word], config: SubtitleConfig = DEFAULT) -> str:
    """WebVTT (W3C): a header, then cues ``HH:MM:SS.mmm --> HH:MM:SS.mmm`` with ``&``, ``<`` and ``>`` escaped."""
    return "WEBVTT\n" + "".join(
        f"\n{_timestamp(cue.start, '.')} --> {_timestamp(cue.end, '.')}\n" + "\n".join(map(_escape, cue.lines)) + "\n"
        for cue in make_cues(words, config)
    )


def _segment(cue: Cue) -> dict[str, Any]:
    words = [
        {"word": w.word, "start": round(w.start, 3), "end": round(w.end, 3), "confidence": round(w.confidence, 3)}
        for w in cue.words
    ]
    span = {"start": words[0]["start"], "end": words[-1]["end"]}
    return {**span, "text": join_words([word.word for word in cue.words]), "words": words}


def join_words(words: Sequence[str]) -> str:
    """Words as running text: spaces between them, but none beside a Chinese or Japanese character or mark."""
    text = ""
    for word in words:
        glued = not text or _is_unspaced(text[-1]) or _is_unspaced(word[0])
        text += word if glued else f" {word}"
    return text


def _is_unspaced(char: str) -> bool:
    # Hangul is wide too, but Korean is written with spaces.
    return unicodedata.east_asian_width(char) in "WF" and not "\uac00" <= char <= "\ud7a3"


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _checked(words: Sequence[Word]) -> list[Word]:
    """The words that hold anything, with single spaces inside, because an empty line would end a cue."""
    previous = 0.0
    for word in words:
        if not previous <= word.start <= word.end:
            raise ValueError(
                f"word {word.word!r}: expected {previous} <= start <= end, got {word.start} to {word.end}; "
                "sort the words by time, in seconds from the start of the recording"
            )
        previous = word.start
    return [Word(" ".join(w.word.split()), w.start, w.end, w.confidence) for w in words if w.word.strip()]


def _sentences(words: Sequence[Word], max_pause: float) -> list[list[Word]]:
    sentences: list[list[Word]] = []
    for index, word in enumerate(words):
        last = words[index - 1]
        if index == 0 or SENTENCE_END.search(last.word) or word.start - last.end > max_pause:
            sentences.append([])
        sentences[-1].append(word)
    return sentences


def _cut(words: list[Word], config: SubtitleConfig) -> list[list[Word]]:
    """Halve until everything fits, at the place where a reader minds least."""
    fits = len(_wrap(words, config.max_chars)) <= config.max_lines
    if len(words) == 1 or (fits and words[-1].end - words[0].start <= config.max_duration):
        return [words]
    place = _best_cut(words, config.max_pause)
    return _cut(words[:place], config) + _cut(words[place:], config)


def _best_cut(words: list[Word], max_pause: float) -> int:
    """The place in the middle half that is best balanced, with a bonus for pauses and for clauses that end there."""
    total = _columns("".join(word.word for word in words))
    costs, left = {}, 0
    for place in range(1, len(words)):
        before, after = words[place - 1], words[place]
        left += _columns(before.word)
        if len(words) <= 4 * place <= 3 * len(words) or len(words) < 4:
            imbalance = abs(total - 2 * left) / total
            pause = max(0.0, after.start - before.end) / max_pause
            costs[place] = imbalance - pause - (0.5 if CLAUSE_END.search(before.word) else 0.0)
    return min(costs, key=costs.__getitem__)


def _balanced_lines(words: Sequence[Word], max_chars: int) -> list[str]:
    """As few lines as ``max_chars`` columns allow, and these as narrow as that number allows."""
    lines = _wrap(words, max_chars)
    widths = range(min(map(_columns, lines)), max_chars)
    return next((narrow for width in widths if len(narrow := _wrap(words, width)) == len(lines)), lines)


def _wrap(words: Sequence[Word], max_chars: int) -> list[str]:
    lines: list[list[str]] = []
    for word in words:
        if not lines or _columns(join_words([*lines[-1], word.word])) > max_chars:
            lines.append([])
        lines[-1].append(word.word)
    return [join_words(line) for line in lines]


def _timestamp(seconds: float, separator: str) -> str:
    # Rounded once, as a whole: 59.9996 s is 00:01:00.000, not 00:00:60.000.
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, seconds = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{separator}{milliseconds:03d}"


def _escape(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
