"""Punctuation in text that will be spoken: a small set of marks stands for pauses and melody.

``. , ? ! ; :`` follow their word at once and have a space behind them; ``-`` stands alone between spaces and is a pause
(a dash). Hyphens within words are no marks. Phones in curly braces, ``{AW1 S}``, are what someone wants to be said
instead of a word: they pass through everything here unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from speechkit.text.scripts import IDEOGRAPHS

MARKS = ".,?!;:-"
_STRENGTH = "?!.;:,-"  # the first one stays where several meet

_OVERRIDE = re.compile(r"\{[^{}]*\}")
_HIDDEN = "\ue000"
_PAUSES = str.maketrans(
    {
        **dict.fromkeys("\u2014\u2015\u2e3a\u2e3b", " - "),
        **dict.fromkeys("。｡", " . "),
        **dict.fromkeys("，、､", " , "),
        "；": " ; ",
    }
)
_PLAIN_MARKS = str.maketrans(
    {**dict(zip("。｡．，､、；：？！…", "...,,,;:?!.", strict=True)), **dict.fromkeys("\u2014\u2015", " - ")}
)
_IN_PLACE = {**dict.fromkeys("()[]", ","), **dict.fromkeys(MARKS + _HIDDEN), "'": None}
_LATIN = rf"[^\W\d_{IDEOGRAPHS}]"  # or of any other writing that puts spaces between words
_INNER_PERIOD = re.compile(rf"(?<={_LATIN})\.(?={_LATIN})")
_TOKEN = re.compile(r"[.,?!;:]|(?<!\S)-(?!\S)|[^\s.,?!;:-]+")
_END = re.compile(r"[.?!\u2026。！？｡][\s\"'\u2018\u2019\u201c\u201d»)\]）】」』]*$")


def hide_overrides(text: str) -> tuple[str, list[str]]:
    """``text`` with one placeholder for each ``{...}``, and what they were; see :func:`show_overrides`."""
    text = text.replace(_HIDDEN, " ")
    return _OVERRIDE.sub(f" {_HIDDEN} ", text), _OVERRIDE.findall(text)


def show_overrides(text: str, overrides: Sequence[str]) -> str:
    """Undo :func:`hide_overrides`."""
    remaining = iter(overrides)
    return re.sub(_HIDDEN, lambda _: next(remaining), text) if overrides else text


def pauses(text: str) -> str:
    """Dashes and the marks of Chinese as the marks of this module, apart from what surrounds them."""
    return re.sub("-{2,}", " - ", text.translate(_PAUSES))


def plain_marks(text: str) -> str:
    """The marks of Chinese and dashes as the marks of this module, and nothing else changed."""
    return text.translate(_PLAIN_MARKS)


def spoken_characters(text: str) -> str:
    """Letters, apostrophes and marks; brackets are commas, everything else is a space."""
    return "".join(char if char.isalpha() else _IN_PLACE.get(char, " ") or char for char in text)


def tidy(text: str) -> str:
    """Words with at most one mark behind each, none in front: of several that meet, the strongest stays."""
    spoken, mark = [], ""
    for token in _TOKEN.findall(_INNER_PERIOD.sub(" ", text)):
        if token in MARKS:
            mark = min(mark, token, key=_STRENGTH.index) if mark else token
            continue
        if spoken:
            spoken.append(f" {mark} " if mark == "-" else f"{mark} ")
        spoken.append(token)
        mark = ""
    end = f" {mark}" if mark == "-" else mark
    return "".join(spoken) + end if spoken else ""


def closed(spoken: str, written: str) -> str:
    """``spoken`` with a period at its end if what was ``written`` had one, which an abbreviation may have used up."""
    missing = spoken and spoken[-1] not in MARKS and _END.search(written)
    return f"{spoken}." if missing else spoken
