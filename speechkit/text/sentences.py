"""Long texts in sentences, which are what a voice speaks one at a time."""

from __future__ import annotations

import re

from speechkit.text.scripts import IDEOGRAPHS

# Abbreviations that something always follows; and those that may also end a sentence.
_NEVER_LAST = frozenset(
    "mr mrs ms dr prof rev hon gen col maj capt lt sgt gov sen rep pres st mt ft vs e.g i.e cf al fig figs no nos vol pp p "
    "art sec ch approx viz messrs mme mlle".split()
)
_SOMETIMES_LAST = frozenset("etc inc co corp ltd jr sr bros dept ave blvd rd est a.m p.m b.c a.d ph.d".split())
_OPENERS = frozenset(
    "the a an he she it they we you i this that these those there here his her its their my our your in on at by for from "
    "but and or so then when while if as after before however what who why how where no yes not all some many".split()
)
_CLOSERS = "\"'”’»)\\]」』）】》"
_ENDING = re.compile(
    # The looks back keep a long row of marks from being tried from each of them.
    rf"(?P<wide>(?<![。！？｡!?])[。！？｡!?]+[{_CLOSERS}]*(?=[{IDEOGRAPHS}“‘「『（《])|(?<![。！？｡])[。！？｡]+[{_CLOSERS}]*)"
    rf"|(?P<plain>(?<![.!?…])[.!?…]+[{_CLOSERS}]*)(?=\s)"
)
_PARAGRAPH = re.compile(r"\n\s*\n")
_NEXT_WORD = re.compile(r"\s*[\"'“‘«(\[「]*([^\s\"'”’»)\],.!?;:]*)")
_LAST_WORD = re.compile(r"[^\s\"'“‘«(\[]*$")
_LONGEST = 32  # characters of a word; no abbreviation is as long
_CLAUSE_END = re.compile(rf"[,;:—][{_CLOSERS}]*(?=\s)|\s[-–—]+(?=\s)|[，；：、][{_CLOSERS}]*|……")
_SPACE = re.compile(r"\s")


def split_sentences(text: str, max_length: int | None = None) -> list[str]:
    """The sentences of ``text`` in order, each with its punctuation and without the spaces around it.

    They end at ``. ! ? …`` before a space, at 。！？ anywhere, and at empty lines; not within numbers (3.14), behind
    abbreviations (Mr., e.g., No. 5), initials (J. F. Kennedy) and the numbers of a list (1. First), and not where the
    next word begins small ('"Really?" he said'). An abbreviation that may end a sentence (etc., Inc., p.m., U.S.) does so
    before the words that sentences begin with ("The"). Nothing between two spaces is lost or changed.

    Args:
        text: Of any length, in English, Chinese, or whatever else uses their punctuation.
        max_length: Characters; longer sentences are cut behind the last comma, colon, dash or, failing these, space
            that keeps the piece short enough, since voices lose their way in very long ones. None cuts nothing.

    Raises:
        ValueError: ``max_length`` is below 1.
    """
    if max_length is not None and max_length < 1:
        raise ValueError(f"max_length: expected 1 or more characters, got {max_length}")
    sentences = [sentence for paragraph in _PARAGRAPH.split(text) for sentence in _sentences(paragraph)]
    if max_length is None:
        return sentences
    return [piece for sentence in sentences for piece in _short_pieces(sentence, max_length)]


def _sentences(paragraph: str) -> list[str]:
    sentences, start = [], 0
    for ending in _ENDING.finditer(paragraph):
        if ending["wide"] or _ends_sentence(paragraph, start, ending):
            sentences.append(paragraph[start : ending.end()].strip())
            start = ending.end()
    return [sentence for sentence in [*sentences, paragraph[start:].strip()] if sentence]


def _ends_sentence(paragraph: str, start: int, ending: re.Match[str]) -> bool:
    """Whether a mark before a space is the end, by the words on both sides."""
    following = _NEXT_WORD.match(paragraph, ending.end())[1]
    if following[:1].islower():
        return False
    if ending["plain"][0] != "." or ending["plain"][:2] == "..":
        return True
    word = _LAST_WORD.search(paragraph, max(start, ending.start() - _LONGEST), ending.start())[0]
    if word.isdecimal() and not paragraph[start : ending.start() - len(word)].strip():
        return False  # the number of a list's item
    small = word.lower()
    if small in _NEVER_LAST:
        return False
    if len(word) == 1 and word.isupper() and word != "I":
        return False
    if small in _SOMETIMES_LAST or re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", word):
        return following.lower() in _OPENERS or not following
    return True


def _short_pieces(sentence: str, max_length: int) -> list[str]:
    pieces = []
    while len(sentence) > max_length:
        cut = _last_cut(sentence, max_length)
        pieces.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [*pieces, sentence]


def _last_cut(sentence: str, max_length: int) -> int:
    """Where to cut: the last clause's end in the second half of what fits, else the last space, else the limit."""
    head = sentence[: max_length + 1]  # one more, for a space behind what just fits
    clauses = [match.end() for match in _CLAUSE_END.finditer(head) if max_length // 2 <= match.end() <= max_length]
    spaces = [match.start() for match in _SPACE.finditer(head)]
    return next((ends[-1] for ends in (clauses, spaces) if ends and ends[-1] > 0), max_length)
