"""English text as it is spoken: numbers, money, times and abbreviations in words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from speechkit.config import ComponentConfig
from speechkit.text import english_numbers as numbers
from speechkit.text import punctuation
from speechkit.text.normalizer import Normalizer, plain_characters


class EnglishNormalizer(Normalizer, name="english"):
    """Letters, apostrophes and single spaces; everything else is spoken out or dropped.

    Numbers, decimals, ordinals, fractions, money, percentages, years, decades, days of a month, times, ranges,
    telephone numbers and common abbreviations become words; contractions and possessives keep their apostrophe;
    accents are dropped (letters of other scripts stay). What the text leaves open is read the common way: ``1500``
    as a year, ``1/2`` as a fraction, ``5-10`` as a range, ``$`` as dollars.

    For synthesis, ``punctuation: keep`` leaves pauses in the text: see :mod:`speechkit.text.punctuation`. Give it one
    sentence at a time (:mod:`speechkit.text.sentences`), because the period of an abbreviation ends no sentence here,
    except at the end of the text.
    """

    class Config(ComponentConfig):
        case: Literal["lower", "upper"] = "lower"
        """Case of the letters."""
        years: bool = True
        """Read four bare digits from 1100 to 2099 as a year (nineteen ninety nine), else as a plain number."""
        punctuation: Literal["drop", "keep"] = "drop"
        """``keep`` leaves ``. , ? ! ; : -`` and phones in ``{...}``: what a voice needs, and a recogniser does not."""

    def __call__(self, text: str) -> str:
        """``text`` in words."""
        if self.config.punctuation == "keep":
            return self._with_pauses(text)
        words = "".join(char if char.isalpha() or char == "'" else " " for char in self._words(text)).split()
        return self._cased(" ".join(_ABBREVIATIONS.get(word, word) for word in words))

    def _with_pauses(self, written: str) -> str:
        text, overrides = punctuation.hide_overrides(written)
        text = punctuation.tidy(punctuation.spoken_characters(self._words(punctuation.pauses(text))))
        text = punctuation.closed(_late_abbreviations(text), written)
        return punctuation.show_overrides(self._cased(text), overrides)

    def _words(self, text: str) -> str:
        """``text`` with its numbers, abbreviations and symbols in words, in lower case; punctuation is still there."""
        text = _fold(text)
        if _DIGIT.search(text):
            text = _DECADE.sub(lambda match: f" {numbers.plural(numbers.whole(match[1], years=True))} ", text)
        text = _period_abbreviations(_apostrophes(text))
        if self.config.punctuation == "keep":
            text = _INITIALS.sub(lambda match: match[0].replace(".", " "), _titles(text))
        if _DIGIT.search(text):
            text = self._numbers(text)
        return _SYMBOL.sub(lambda match: f" {_SYMBOLS[match[0]]} ", text)

    def _cased(self, text: str) -> str:
        return text.upper() if self.config.case == "upper" else text

    def _numbers(self, text: str) -> str:
        for pattern, read in _RULES if self.config.punctuation == "drop" else _RULES_WITH_PAUSES:
            text = pattern.sub(read, text)
        return _PLAIN.sub(lambda match: f" {numbers.number(match[0], self.config.years)} ", text)


# --- characters ---------------------------------------------------------------------------------------------------

_DIGIT = re.compile("[0-9]")
_LOOK_ALIKES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u02bc\uff07`\u00b4\u2032", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("_\u2122\u2120\u00ae", " "),
        **{"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ß": "ss", "ı": "i"},
        **{"Æ": "AE", "Œ": "OE", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "TH", "ẞ": "SS"},
        **{"\u00b2": " squared ", "\u00b3": " cubed ", "º": "o", "ª": "a"},
    }
)


def _fold(text: str) -> str:
    """Lower case without accents, plain quotes and digits; what needs capitals to be understood is read here."""
    text = plain_characters(text.translate(_LOOK_ALIKES))
    text = _DAY.sub(_day, _STREET.sub(_saint_or_street, text)).lower()
    if text.isascii():
        return text
    text = "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")
    text = unicodedata.normalize("NFKC", text).lower().translate(_LOOK_ALIKES)
    return "".join(" " if char.isalnum() and not char.isalpha() and not char.isascii() else char for char in text)


_STREET = re.compile(r"\b(St|ST|st)\.(?=(\s+[^\W\d_])?)")


def _saint_or_street(match: re.Match[str]) -> str:
    """Saint before a name; "on Main St. today" is a street, as a small letter after "St." shows."""
    before_name = match[2] is not None and (match[1] == "st" or match[2].strip().isupper())
    return "saint" if before_name else "street"


_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = {**{name[:3]: name for name in _MONTHS}, "sept": "september", **{name: name for name in _MONTHS}}
_DAY = re.compile(
    rf"(?<![\w'])({'|'.join(sorted(_MONTH, reverse=True))})\.?\s+"
    r"(3[01]|[12][0-9]|0?[1-9])(?:st|nd|rd|th)?(?![\w']|[.,:/][0-9])",
    re.IGNORECASE,
)


def _day(match: re.Match[str]) -> str:
    """A day of a month is an ordinal; "march 3 miles" in small letters is no date."""
    if match[1] in ("march", "mar", "may"):
        return match[0]
    return f"{_MONTH[match[1].lower()]} {numbers.ordinal(int(match[2]))}"


# --- apostrophes --------------------------------------------------------------------------------------------------

_ELISIONS = "tis|twas|twere|twill|em|cause|til|till|bout|round|neath|gainst|tween|n"
_QUOTED = re.compile(rf"(?<!\w)'(?=\w)(?!(?:{_ELISIONS})\b)(.*?)(?<=[\w.,!?;:])'(?!\w)")
_OPENING = re.compile(rf"(?<!\w)'(?!(?:{_ELISIONS})\b)")
_CLOSING = re.compile(r"(?<!s)(?<!in)(?<!\bo)(?<!\bth)(?<!\bol)(?<!\bn)'(?!\w)")


def _apostrophes(text: str) -> str:
    """Keep the apostrophes of words (don't, o'clock, dogs', goin', 'tis); drop quotes and those beside digits."""
    if "'" not in text:
        return text
    text = re.sub(r"'{2,}|(?<=[0-9])'|'(?=[0-9])", " ", text)
    text = _QUOTED.sub(r" \1 ", text)
    return _CLOSING.sub(" ", _OPENING.sub(" ", text))


# --- abbreviations and symbols ------------------------------------------------------------------------------------

# Words that mean nothing else, period or not.
_ABBREVIATIONS = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "prof": "professor",
    "jr": "junior",
    "sr": "senior",
    "lt": "lieutenant",
    "sgt": "sergeant",
    "capt": "captain",
    "vs": "versus",
    "etc": "et cetera",
}
# Words that are abbreviations only with their period.
_WITH_PERIOD = {
    "gen": "general",
    "col": "colonel",
    "maj": "major",
    "rev": "reverend",
    "hon": "honorable",
    "gov": "governor",
    "sen": "senator",
    "rep": "representative",
    "pres": "president",
    "ave": "avenue",
    "blvd": "boulevard",
    "rd": "road",
    "mt": "mount",
    "co": "company",
    "corp": "corporation",
    "inc": "incorporated",
    "ltd": "limited",
    "dept": "department",
    "approx": "approximately",
    "e.g": "for example",
    "i.e": "that is",
}
_PERIOD = re.compile(rf"(?<![\w'.])({'|'.join(map(re.escape, _WITH_PERIOD))})\.(?!\w)")
_SYMBOLS = {"&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "°": "degrees"}
_SYMBOL = re.compile("[&+=@%°]")


def _period_abbreviations(text: str) -> str:
    text = _PERIOD.sub(lambda match: _WITH_PERIOD[match[1]], text) if "." in text else text
    return re.sub(r"(?<![\w'])no\.(?=\s?[0-9])|#(?=\s?[0-9])", " number ", text)


# In text that keeps its marks, after it was tidied: what no mark stood behind before may be an abbreviation now.
_TITLE = re.compile(rf"(?<![\w'])({'|'.join(_ABBREVIATIONS)})\.?(?![\w'])")
_INITIALS = re.compile(r"(?<![\w'])[^\W\d_](?:\.[^\W\d_])+\.(?=\s+[^\W\d_])")
_INITIAL = re.compile(r"(?<![\w'])(?!i\.)([^\W\d_])\.(?= [^\W\d_])")  # "It was I. Then" ends a sentence


def _late_abbreviations(text: str) -> str:
    text = _STREET.sub(_saint_or_street, text)
    text = _PERIOD.sub(lambda match: _WITH_PERIOD[match[1]], text)
    return _INITIAL.sub(r"\1", _titles(text))


def _titles(text: str) -> str:
    return _TITLE.sub(lambda match: _ABBREVIATIONS[match[1]], text)


# --- numbers ------------------------------------------------------------------------------------------------------

_NUM = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_PLAIN = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)*|(?<!\w)\.[0-9]+")
_DECADE = re.compile(r"(?<![\w.,'/:$£€¥₹])'?([0-9]+)'?s(?!\w)")
_MAGNITUDES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}
_LARGE = "hundred|thousand|million|billion|trillion"
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "¥": ("yen", "yen", "", ""),
}


def _telephone(match: re.Match[str]) -> str:
    return f" {numbers.digits(re.sub('[^0-9]', '', match[0]))} "


def _counted(amount: str, one: str, many: str) -> str:
    return f"{numbers.number(amount)} {one if amount == '1' else many}"


def _money(match: re.Match[str], joint: str = " and") -> str:
    one, many, cent, cents = _CURRENCIES[match[1]]
    magnitude = match[3] or match[4]
    if magnitude:
        return f" {numbers.number(match[2])} {_MAGNITUDES.get(magnitude, magnitude)} {many} "
    units, _, hundredths = match[2].partition(".")
    if len(hundredths) != 2 or not cent:
        return f" {_counted(match[2], one, many)} "
    small = _counted(str(int(hundredths)), cent, cents)
    if int(hundredths) == 0:
        return f" {_counted(units, one, many)} "
    return f" {small} " if units.strip("0") == "" else f" {_counted(units, one, many)}{joint} {small} "


def _money_with_pause(match: re.Match[str]) -> str:
    return _money(match, joint=",")


def _iso_date(match: re.Match[str]) -> str:
    month, day = _MONTHS[int(match[2]) - 1], numbers.ordinal(int(match[3]))
    return f" {month} {day}, {numbers.whole(match[1], years=True)} "


def _time(match: re.Match[str]) -> str:
    hour, minute, half = int(match[1]), match[2], match[3]
    spoken = numbers.cardinal(hour)
    if minute and int(minute):
        spoken += f" oh {numbers.cardinal(int(minute))}" if minute[0] == "0" else f" {numbers.cardinal(int(minute))}"
    elif minute and not half:
        spoken += " o'clock" if 1 <= hour <= 12 else " hundred"
    return f" {spoken} {half} m " if half else f" {spoken} "


def _fraction(match: re.Match[str]) -> str:
    above, below = int(match[2]), int(match[3])
    if not 0 < above < below <= 10:
        return f"{match[1] or ''}{match[2]} {match[3]}"
    part = {2: "half", 4: "quarter"}.get(below) or numbers.ordinal(below)
    parts = part if above == 1 else "halves" if below == 2 else f"{part}s"
    mixed = f" {numbers.whole(match[1].strip())} and" if match[1] else ""
    return f"{mixed} {numbers.cardinal(above)} {parts} "


# In this order: a rule may count on what those above it have taken away.
_RULES: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(r"(?<![\w.,+-])(?:\+?1[- ])?(?:\([0-9]{3}\) ?|[0-9]{3}-)[0-9]{3}-[0-9]{4}(?![\w-])"), _telephone),
    (re.compile(rf"(?<![\w.,/:-])({_NUM})(?:-| - )(?=[$£€¥₹]?{_NUM}(?![0-9/:-]))"), r"\1 to "),
    (re.compile(r"(?<=[0-9]:[0-5][0-9])\s?-\s?(?=[0-9]{1,2}:[0-5][0-9])"), " to "),
    (re.compile(r"(?<![^\s($£€¥₹])-(?=[$£€¥₹]?\.?[0-9])"), " minus "),
    (re.compile(rf"([$£€¥₹])\s?({_NUM})(?:\s?({_LARGE})s?(?![\w'])|(k|m|bn|b)(?![\w']))?"), _money),
    (re.compile(rf"({_NUM})\s?¢"), lambda match: f" {_counted(match[1], 'cent', 'cents')} "),
    (re.compile(rf"({_NUM})\s?%"), lambda match: f" {numbers.number(match[1])} percent "),
    (re.compile(r"(?<![\w:.,])(1[0-2]|0?[1-9])(?::([0-5][0-9]))?\s?([ap])\.?\s?m(?:\.(?!\w))?(?![\w'])"), _time),
    (re.compile(r"(?<![\w:.,])(2[0-4]|[01]?[0-9]):([0-5][0-9])()(?![\w:]|[.,][0-9])"), _time),
    (
        re.compile(r"(?<![.,])([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15})(?:st|nd|rd|th)(?![\w'])"),
        lambda match: f" {numbers.ordinal(int(match[1].replace(',', '')))} ",
    ),
    (re.compile(r"(?<![\w.,/])([0-9]+ )?([0-9]{1,3})/([0-9]{1,3})(?![0-9/]|[.,][0-9])"), _fraction),
    (re.compile(r"°\s?c(?![\w'])"), " degrees celsius "),
    (re.compile(r"°\s?f(?![\w'])"), " degrees fahrenheit "),
]
_ISO_DATE = re.compile(r"(?<![\w.,/:-])([12][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(?![\w/-]|[.,:][0-9])")
_RULES_WITH_PAUSES = [
    (_ISO_DATE, _iso_date),
    *((pattern, _money_with_pause if read is _money else read) for pattern, read in _RULES),
    (re.compile("(?<=[0-9]):(?=[0-9])"), " "),
]
