"""Words with their times as other programs read them: Praat's TextGrid, NIST's CTM, and JSON."""

from __future__ import annotations

import dataclasses
import json as json_module
from collections.abc import Sequence
from typing import Any

from speechkit.decode.words import Word
from speechkit.tasks.align import AlignedSpeech

SHORTEST = 0.001
"""Seconds that an interval of a TextGrid has at least: Praat refuses those that take no time."""


def textgrid(speech: AlignedSpeech) -> str:
    """A TextGrid in Praat's long text format: a tier of words, and one of phones or tokens where these are not the words.

    The intervals of a tier cover the whole utterance; what lies between two words has an empty label.
    """
    tiers = {"words": speech.words}
    if [token.word for token in speech.tokens] != [word.word for word in speech.words]:
        tiers[speech.unit] = [token for token in speech.tokens if token.word.strip()]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_number(speech.duration)}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, labels) in enumerate(tiers.items(), start=1):
        lines += [f"    item [{number}]:", *_tier(name, labels, speech.duration)]
    return "\n".join(lines) + "\n"


def ctm(speech: AlignedSpeech, tier: str = "words") -> str:
    """CTM lines (NIST): recording, channel from 1, start and length in seconds, word, confidence.

    Times count from the start of the recording, of which an utterance may be a part.

    Args:
        speech: The utterance.
        tier: ``words`` or ``tokens``.
    """
    return "".join(
        f"{_field(speech.recording)} {speech.channel + 1} {speech.start + each.start:.3f} {each.end - each.start:.3f} "
        f"{_field(each.word)} {each.confidence:.3f}\n"
        for each in getattr(speech, tier)
        if each.word.strip()
    )


def json(speech: AlignedSpeech) -> str:
    """One line of JSON; times of words and tokens count from the start of the utterance, ``start`` is that in the recording."""
    values = {**dataclasses.asdict(speech), "words": _values(speech.words), "tokens": _values(speech.tokens)}
    values |= {"start": round(speech.start, 4), "duration": round(speech.duration, 4), "score": round(speech.score, 4)}
    return json_module.dumps(values, ensure_ascii=False) + "\n"


def _tier(name: str, labels: Sequence[Word], duration: float) -> list[str]:
    intervals = _intervals(labels, duration)
    lines = ['        class = "IntervalTier"', f'        name = "{name}"', "        xmin = 0"]
    lines += [f"        xmax = {_number(duration)}", f"        intervals: size = {len(intervals)}"]
    for number, (start, end, label) in enumerate(intervals, start=1):
        quoted = label.replace('"', '""')
        lines += [f"        intervals [{number}]:", f"            xmin = {_number(start)}", f"            xmax = {_number(end)}"]
        lines += [f'            text = "{quoted}"']
    return lines


def _intervals(labels: Sequence[Word], duration: float) -> list[tuple[float, float, str]]:
    """The labels with silence between them, from 0 to ``duration``; each at least as long as the shortest."""
    intervals, time = [], 0.0
    for label, (start, end) in zip(labels, _with_room(labels, duration)):
        if start > time:
            intervals.append((time, start, ""))
        intervals.append((start, end, label.word))
        time = end
    if duration > time or not intervals:
        intervals.append((time, duration, ""))
    return intervals


def _with_room(labels: Sequence[Word], duration: float) -> list[tuple[float, float]]:
    """Start and end of each label, moved as little as it takes for each to last a while and for none to overlap."""
    least = min(SHORTEST, duration / max(1, len(labels)))
    spans, time = [], 0.0
    for label in labels:
        start = max(label.start, time)
        time = max(label.end, start + least)
        spans.append((start, time))
    limit = duration
    for i in range(len(spans) - 1, -1, -1):  # what was pushed over the end is pushed back
        start, end = spans[i]
        end = min(end, limit)
        limit = min(start, end - least)
        spans[i] = (max(limit, 0.0), end)
    return spans


def _number(seconds: float) -> str:
    """Whole microseconds without trailing zeros."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _field(text: str) -> str:
    """Text as one field of a line: its spaces become underscores."""
    return "_".join(text.split())


def _values(words: Sequence[Word]) -> list[dict[str, Any]]:
    return [
        {"word": w.word, "start": round(w.start, 4), "end": round(w.end, 4), "confidence": round(w.confidence, 4)} for w in words
    ]
