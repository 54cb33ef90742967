"""English words for numbers, American style: no "and", no hyphens (``one hundred five``, ``twenty one``)."""

from __future__ import annotations

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
MAX_DIGITS = 15
"""Longer numbers are read digit by digit."""


def cardinal(number: int) -> str:
    """``1234`` -> ``one thousand two hundred thirty four``; ``number`` in 0 .. 10^15 - 1."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return _TENS[tens - 2] + (f" {_ONES[rest]}" if rest else "")
    size, name = next((size, name) for size, name in _SCALES if number >= size)
    high, rest = divmod(number, size)
    return f"{cardinal(high)} {name}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(number: int) -> str:
    """``22`` -> ``twenty second``."""
    *before, last = cardinal(number).split()
    last = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return " ".join([*before, last])


def digits(text: str) -> str:
    """``007`` -> ``zero zero seven``."""
    return " ".join(_ONES[int(digit)] for digit in text)


def year(number: int) -> str:
    """``1999`` -> ``nineteen ninety nine``, ``1905`` -> ``nineteen oh five``, ``2005`` -> ``two thousand five``."""
    high, low = divmod(number, 100)
    if number % 1000 < 10:
        return cardinal(number)
    if low == 0:
        return f"{cardinal(high)} hundred"
    return f"{cardinal(high)} oh {cardinal(low)}" if low < 10 else f"{cardinal(high)} {cardinal(low)}"


def is_year(text: str) -> bool:
    """Whether four bare digits are read as a year: 1100 to 2099, where the two readings differ in speech."""
    return len(text) == 4 and 1100 <= int(text) <= 2099


def whole(text: str, years: bool = False) -> str:
    """A whole number as written: leading zeros and very long numbers are read digit by digit."""
    if len(text) > MAX_DIGITS or (len(text) > 1 and text[0] == "0"):
        return digits(text)
    return year(int(text)) if years and is_year(text) else cardinal(int(text))


def number(text: str, years: bool = False) -> str:
    """A number as written, with commas and decimals: ``1,000.50`` -> ``one thousand point five zero``."""
    first, *parts = text.replace(",", "").split(".")
    words = [whole(first, years and not parts and "," not in text)] if first else []
    return " ".join(words + [f"point {digits(part)}" for part in parts if part])


def plural(words: str) -> str:
    """``nineteen ninety`` -> ``nineteen nineties``."""
    if words.endswith("y"):
        return f"{words[:-1]}ies"
    return f"{words}es" if words.endswith("x") else f"{words}s"
