"""Mandarin text as it is spoken: digits in Chinese numerals, no punctuation, no spaces between characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from speechkit.config import ComponentConfig
from speechkit.text import punctuation
from speechkit.text.normalizer import Normalizer, plain_characters
from speechkit.text.scripts import IDEOGRAPHS, has_ideograph


class MandarinNormalizer(Normalizer, name="mandarin"):
    """Chinese characters, Latin words for what was Latin, and nothing else.

    Numbers, decimals, percentages, fractions, dates, years, times, money, temperatures and ranges become Chinese
    numerals; full-width forms become plain; punctuation goes. Spaces stay between Latin words only. What the text
    leaves open is read the common way: four digits before 年 one by one, 11 digits that begin with 1 as a telephone
    number, ``3/4`` as a fraction, 2 as 两 before 万, 亿, a leading 千 and the commonest measure words.

    For synthesis, ``punctuation: keep`` leaves pauses in the text, as the marks of :mod:`speechkit.text.punctuation`.
    """

    class Config(ComponentConfig):
        case: Literal["lower", "upper", "keep"] = "lower"
        """Case of the Latin letters."""
        separate_latin: bool = False
        """Also put a space between a Latin word and a Chinese character."""
        punctuation: Literal["drop", "keep"] = "drop"
        """``keep`` leaves ``. , ? ! ; : -`` (for 。，？！；： too) and phones in ``{...}``: what a voice needs."""

    def __call__(self, text: str) -> str:
        """``text`` in Chinese characters."""
        if self.config.punctuation == "keep":
            return self._with_pauses(text)
        text = "".join(char if char.isalpha() or char == "'" else " " for char in self._words(text))
        return self._join(_LONELY_APOSTROPHE.sub(" ", text))

    def _with_pauses(self, written: str) -> str:
        text, overrides = punctuation.hide_overrides(written)
        text = punctuation.spoken_characters(self._words(punctuation.pauses(text)))
        text = self._join_around_marks(punctuation.tidy(_LONELY_APOSTROPHE.sub(" ", text)))
        return punctuation.show_overrides(text, overrides)

    def _words(self, text: str) -> str:
        """``text`` with its numbers and symbols in words; punctuation is still there."""
        text = self._fold(text)
        for pattern, read in _RULES:
            text = pattern.sub(read, text)
        return "".join(_IN_PLACE.get(char, char) for char in text)

    def _fold(self, text: str) -> str:
        text = plain_characters(text.translate(_LOOK_ALIKES)).translate(_LOOK_ALIKES)
        text = text if self.config.case == "keep" else getattr(text, self.config.case)()
        text = unicodedata.normalize("NFKC", text)
        return "".join(char for char in text if unicodedata.category(char)[0] != "M")

    def _join_around_marks(self, text: str) -> str:
        """As :meth:`_join`; the space behind a mark, too, stays between Latin words only."""
        joined = ""
        for piece in _MARK_BEHIND.split(text):
            if piece.startswith((" -", *punctuation.MARKS)):
                joined += piece
                continue
            if joined.endswith(" ") and not joined.endswith("- "):
                borders = [has_ideograph(joined.rstrip(f" {punctuation.MARKS}")[-1:]), has_ideograph(piece[:1])]
                apart = not any(borders) or (self.config.separate_latin and not all(borders))
                joined = joined if apart else joined.rstrip()
            joined += self._join(piece)
        return joined

    def _join(self, text: str) -> str:
        """Spaces between Latin words only, and at their borders where the config wants it."""
        joined = ""
        for run in _RUN.findall(text):
            borders = [has_ideograph(joined[-1:]), has_ideograph(run)]
            apart = not any(borders) or (self.config.separate_latin and not all(borders))
            joined += f" {run}" if joined and apart else run
        return unicodedata.normalize("NFKC", joined)


# --- characters ---------------------------------------------------------------------------------------------------

_LATIN = rf"[^\W\d_{IDEOGRAPHS}]"
_LONELY_APOSTROPHE = re.compile(rf"(?<!{_LATIN})'|'(?!{_LATIN})")
_MARK_BEHIND = re.compile(r"( -(?: |$)|[.,?!;:] ?)")
_RUN = re.compile(rf"[{IDEOGRAPHS}]+|[^{IDEOGRAPHS}\s]+")
_LOOK_ALIKES = str.maketrans(
    {
        # A full-width comma parts two numbers, an ASCII one groups thousands: NFKC would make them equal.
        **dict.fromkeys("，、；", " "),
        **dict.fromkeys("\u2018\u2019\u02bc\uff07`\u00b4", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212～〜~", "-"),
        **{"〇": "零", "○": "零", "²": "平方", "³": "立方", "￥": "¥", "￡": "£", "™": " ", "℠": " "},
    }
)
_IN_PLACE = {"+": "加", "=": "等于", "°": "度"}


# --- numerals -----------------------------------------------------------------------------------------------------

_DIGITS = "零一二三四五六七八九"
_SCALES = ((10**8, "亿"), (10**4, "万"), (10**3, "千"), (10**2, "百"), (10, "十"))
MAX_DIGITS = 16
"""Longer numbers are read digit by digit."""


def cardinal(number: int) -> str:
    """``10203`` -> ``一万零二百零三``, ``12`` -> ``十二``, ``2000`` -> ``两千``; ``number`` in 0 .. 10^16 - 1."""
    text = _quantity(number)
    return text[1:] if text.startswith("一十") else text


def _quantity(number: int) -> str:
    for size, name in _SCALES:
        if number >= size:
            high, rest = divmod(number, size)
            head = "两" if high == 2 and size >= 1000 else _quantity(high)
            gap = "零" if 0 < rest < size // 10 else ""
            return f"{head}{name}{gap}{_quantity(rest) if rest else ''}"
    return _DIGITS[number]


def digits(text: str) -> str:
    """``2005`` -> ``二零零五``; what is no digit is left out."""
    return "".join(_DIGITS[int(char)] for char in text if char.isdigit())


def whole(text: str) -> str:
    """A whole number as written: leading zeros and very long numbers are read digit by digit."""
    by_digit = len(text) > MAX_DIGITS or (len(text) > 1 and text[0] == "0")
    return digits(text) if by_digit else cardinal(int(text))


def number(text: str) -> str:
    """A number as written, with commas and decimals: ``1,000.50`` -> ``一千点五零``."""
    first, *parts = text.replace(",", "").split(".")
    return whole(first or "0") + "".join(f"点{digits(part)}" for part in parts)


# --- rules --------------------------------------------------------------------------------------------------------

_NUM = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_CURRENCIES = {"¥": "元", "$": "美元", "£": "英镑", "€": "欧元"}
_MONTH, _DAY = "(1[0-2]|0?[1-9])", "(3[01]|[12][0-9]|0?[1-9])"
_TELEPHONE = "0[0-9]{2,3}-[0-9]{7,8}|1[0-9]{2}-?[0-9]{4}-?[0-9]{4}|400-[0-9]{3}-[0-9]{4}"
_PLAIN = r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)*|(?<![A-Za-z0-9])\.[0-9]+"
_MEASURES = "个|位|名(?!次)|只|条|张|件|种|家|辆|座|倍|次|天|周(?!年)|本|块|杯|小时|分钟|公里|公斤|米|斤"


def _date(match: re.Match[str]) -> str:
    return f"{digits(match[1])}年{cardinal(int(match[3]))}月{cardinal(int(match[4]))}日"


def _money(match: re.Match[str]) -> str:
    return f"{number(match[2])}{match[3]}{_CURRENCIES[match[1]]}"


def _time(match: re.Match[str]) -> str:
    parts = [f"{cardinal(int(match[1]))}点"]
    for text, unit in ((match[2], "分"), (match[3], "秒")):
        if text and int(text):
            parts.append(f"{'零' if text[0] == '0' else ''}{cardinal(int(text))}{unit}")
    return "".join(parts)


def _fraction(match: re.Match[str]) -> str:
    mixed = f"{whole(match[1])}又" if match[1] else ""
    return f"{mixed}{whole(match[3])}分之{whole(match[2])}"


# In this order: a rule may count on what those above it have taken away.
_RULES: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(rf"(?<![0-9.,])([12][0-9]{{3}})([-/.]){_MONTH}\2{_DAY}(?![0-9]|[-/.][0-9])[日号]?"), _date),
    (re.compile(r"(?<![0-9.,])([0-9]{4})\s?[-到至]\s?(?=[0-9]{4}\s?年)"), lambda match: f"{digits(match[1])}到"),
    (re.compile(r"(?<![0-9.,])[0-9]{4}(?=\s?年)"), lambda match: digits(match[0])),
    (re.compile(rf"(?<![0-9.,-])(?:{_TELEPHONE})(?![0-9-])"), lambda match: digits(match[0])),
    (re.compile(r"(?<![0-9:.])(2[0-4]|[01]?[0-9]):([0-5][0-9])(?::([0-5][0-9]))?(?![0-9:])"), _time),
    (re.compile(r"(?<=[0-9])\s?:\s?(?=[0-9])"), "比"),
    (re.compile(rf"(?<![A-Za-z0-9.,/-])({_NUM}(?:%|°[cC]?)?)(?:-| - )(?=[¥$£€]?{_NUM}(?![0-9-]))"), r"\1到"),
    (re.compile(rf"(?<![^\s({IDEOGRAPHS}])-(?=[¥$£€]?\.?[0-9])"), "负"),
    (re.compile(rf"([¥$£€])\s?({_NUM})\s?([十百千万亿]*)"), _money),
    (re.compile(rf"({_NUM})\s?%"), lambda match: f"百分之{number(match[1])}"),
    (re.compile(rf"({_NUM})\s?‰"), lambda match: f"千分之{number(match[1])}"),
    (re.compile(r"°\s?c(?![a-z])", re.IGNORECASE), "摄氏度"),
    (re.compile(r"°\s?f(?![a-z])", re.IGNORECASE), "华氏度"),
    (re.compile(r"(?<![0-9/.,])(?:([0-9]+)\s)?([0-9]+)/([0-9]+)(?![0-9/]|[.,][0-9])"), _fraction),
    (re.compile(rf"(?<![A-Za-z0-9.,第])2(?=\s?(?:{_MEASURES}|[万亿]))"), "两"),
    (re.compile(_PLAIN), lambda match: number(match[0])),
]
