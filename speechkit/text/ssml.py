"""A small part of SSML, the W3C's Speech Synthesis Markup Language 1.1, read strictly."""

from __future__ import annotations

import math
import re
import xml.parsers.expat
from collections.abc import Callable
from dataclasses import dataclass, field, replace

MAX_BREAK = 10.0  # seconds
RATES = (0.25, 4.0)
PITCHES = (-24.0, 24.0)  # semitones

_ATTRIBUTES: dict[str, set[str]] = {
    "speak": {"version", "xml:lang"},
    "p": set(),
    "s": set(),
    "break": {"time", "strength"},
    "prosody": {"rate", "pitch"},
    "sub": {"alias"},
    "phoneme": {"ph", "alphabet"},
}
_PARENTS = {
    "p": {"speak", "prosody"},
    "s": {"speak", "p", "prosody"},
    "break": {"speak", "p", "s", "prosody"},
    "prosody": {"speak", "p", "s", "prosody"},
    "sub": {"speak", "p", "s", "prosody"},
    "phoneme": {"speak", "p", "s", "prosody"},
}
# The standard names these and leaves their sizes to the synthesizer.
_STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "fast": 1.25, "x-fast": 1.75, "default": 1.0}
_PITCHES = {"x-low": -6.0, "low": -3.0, "medium": 0.0, "high": 3.0, "x-high": 6.0, "default": 0.0}
_NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"


@dataclass(frozen=True)
class Span:
    """A stretch of text that is spoken in one manner, and the silence behind it."""

    text: str
    """Plain text; phones stand in curly braces, as tokenizers for synthesis take them. Empty: only a pause."""

    rate: float = 1.0
    """Speed: 2 is twice as fast."""

    pitch: float = 0.0
    """Semitones above the voice's own."""

    pause: float = 0.0
    """Seconds of silence after the text, beside what its punctuation gives."""

    ends_sentence: bool = False
    """A sentence ends here, whatever the punctuation says (``</s>``, ``</p>``)."""

    ends_paragraph: bool = False
    """And so does a paragraph (``</p>``)."""


def is_ssml(text: str) -> bool:
    """Whether ``text`` is markup: it begins with ``<speak>``, or with what may stand before that in XML."""
    return re.match(r"\s*<(?:speak[\s/>]|\?xml\s|!--|!DOCTYPE\s)", text) is not None


def parse_ssml(text: str, alphabet: str | None = None) -> list[Span]:
    """What ``text`` asks for, span by span; plain text is one span as it is, even with a ``<`` in it.

    Known are ``<speak>``, ``<p>``, ``<s>``, ``<break time strength>`` (up to 10 s), ``<prosody rate pitch>`` (``120%``,
    ``+20%``, ``1.2``, ``fast``; ``+2st``, ``-10%``, ``high``; nested ones multiply and add up), ``<sub alias>`` and
    ``<phoneme ph alphabet>``. ``version``, ``xml:lang`` and namespaces are accepted and mean nothing. Everything else is
    an error: markup that is ignored in silence is noticed by ear, or never.

    Args:
        text: Plain text, or a document whose root is ``<speak>``.
        alphabet: Of the voice's phones (``ipa``, ``x-arpabet``, ``x-pinyin``); a ``<phoneme>`` that names another one is an
            error. None takes them all.

    Raises:
        ValueError: the markup is not well-formed, or asks for what is not known; the message gives line and column.
    """
    return _Reader(alphabet).read(text) if is_ssml(text) else [Span(text)] if text.strip() else []


@dataclass
class _Open:
    """An element that has begun and not ended."""

    name: str
    rate: float = 1.0
    pitch: float = 0.0
    instead: str | None = None  # what is said in place of the element's text


@dataclass
class _Reader:
    """One document. Expat reads it: no document type means no entities, of which bombs are made; nothing recurses."""

    alphabet: str | None
    spans: list[Span] = field(default_factory=list)
    open: list[_Open] = field(default_factory=list)

    def read(self, text: str) -> list[Span]:
        parser = xml.parsers.expat.ParserCreate()
        parser.buffer_text = True
        self.parser = parser
        parser.StartElementHandler = self._located(self._start)
        parser.EndElementHandler = self._located(self._end)
        parser.CharacterDataHandler = self._located(self._characters)
        parser.StartDoctypeDeclHandler = self._located(self._refuse_doctype)
        parser.ProcessingInstructionHandler = self._located(self._refuse_instruction)
        try:
            parser.Parse(_without_declaration(text), True)
        except xml.parsers.expat.ExpatError as error:
            reason = xml.parsers.expat.ErrorString(error.code)
            hint = "write & as &amp; and < as &lt;, close every element"
            raise ValueError(f"SSML, line {error.lineno}, column {error.offset + 1}: {reason}; {hint}") from None
        return [span for span in map(_trimmed, self.spans) if span.text or span.pause or span.ends_sentence]

    def _located(self, handler: Callable[..., None]) -> Callable[..., None]:
        def handle(*args: object) -> None:
            try:
                handler(*args)
            except _Refusal as refusal:
                line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
                raise ValueError(f"SSML, line {line}, column {column}: {refusal}") from None

        return handle

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        _check_element(name, attributes, self.open[-1].name if self.open else None)
        outer = self.open[-1] if self.open else _Open("")
        element = _Open(name, outer.rate, outer.pitch)
        self.open.append(element)
        if name == "break":
            self._pause(_break_seconds(attributes))
        elif name == "prosody":
            element.rate = _within(RATES, outer.rate * _rate(attributes.get("rate", "default")), "rate")
            element.pitch = _within(PITCHES, outer.pitch + _pitch(attributes.get("pitch", "default")), "pitch")
        elif name == "sub":
            element.instead = _required(attributes, "sub", "alias")
        elif name == "phoneme":
            element.instead = self._phones(attributes)
        elif name in ("p", "s"):
            self._end_sentence(name)

    def _end(self, name: str) -> None:
        element = self.open.pop()
        if element.instead is not None:
            self._say(element.instead, element)
        elif name in ("p", "s"):
            self._end_sentence(name)

    def _characters(self, data: str) -> None:
        element = self.open[-1]
        if element.name == "break" and data.strip():
            raise _Refusal(f"<break>: expected nothing in it, got {data.strip()!r}; write <break/>")
        if element.instead is None and element.name != "break":
            self._say(data, element)

    def _say(self, text: str, element: _Open) -> None:
        last = self.spans[-1] if self.spans else None
        goes_on = last and not last.pause and not last.ends_sentence
        if goes_on and (last.rate, last.pitch) == (element.rate, element.pitch):
            self.spans[-1] = replace(last, text=last.text + text)
        else:
            self.spans.append(Span(text, element.rate, element.pitch))

    def _pause(self, seconds: float) -> None:
        if not self.spans:
            self.spans.append(Span(""))
        self.spans[-1] = replace(self.spans[-1], pause=self.spans[-1].pause + seconds)

    def _end_sentence(self, name: str) -> None:
        while self.spans and not self.spans[-1].text.strip() and not self.spans[-1].pause:
            self.spans.pop()  # only the spaces between two elements
        if self.spans and self.spans[-1].text.strip():
            paragraph = name == "p" or self.spans[-1].ends_paragraph
            self.spans[-1] = replace(self.spans[-1], ends_sentence=True, ends_paragraph=paragraph)

    def _phones(self, attributes: dict[str, str]) -> str:
        phones = _required(attributes, "phoneme", "ph")
        named = attributes.get("alphabet", self.alphabet)
        if self.alphabet is not None and named != self.alphabet:
            raise _Refusal(f"<phoneme>: alphabet: expected {self.alphabet!r}, which this voice speaks, got {named!r}")
        if set(phones) & set("{}"):
            raise _Refusal(f"<phoneme>: ph: expected phones without braces, got {phones!r}")
        return f"{{{phones}}}"

    def _refuse_doctype(self, *_: object) -> None:
        raise _Refusal("<!DOCTYPE>: expected none, because entities are not read; remove it")

    def _refuse_instruction(self, target: str, _: str) -> None:
        raise _Refusal(f"<?{target}?>: expected no processing instruction; remove it")


class _Refusal(Exception):
    """What is wrong, without the place."""


def _without_declaration(text: str) -> str:
    """Expat would believe an encoding that the text, already decoded, no longer has; columns stay right."""
    return re.sub(r"<\?xml[^>]*\?>", lambda match: re.sub(r"[^\n]", " ", match[0]), text, count=1)


def _trimmed(span: Span) -> Span:
    return replace(span, text=" ".join(span.text.split()))


def _check_element(name: str, attributes: dict[str, str], parent: str | None) -> None:
    if parent is None and name != "speak":
        raise _Refusal(f"<{name}>: expected <speak> around everything; add it")
    if name not in _ATTRIBUTES:
        raise _Refusal(f"<{name}>: expected one of {', '.join(_ATTRIBUTES)}; remove it")
    if name == "speak" and parent is not None:
        raise _Refusal(f"<speak>: expected at the top only, got it in <{parent}>; remove it")
    if parent is not None and parent not in _PARENTS[name]:
        raise _Refusal(f"<{name}>: expected in {', '.join(sorted(_PARENTS[name]))}, got it in <{parent}>; close that before")
    for attribute in attributes:
        namespaced = attribute.startswith(("xmlns", "xsi:")) and name == "speak"
        if attribute not in _ATTRIBUTES[name] and not namespaced:
            known = ", ".join(sorted(_ATTRIBUTES[name])) or "no attributes"
            raise _Refusal(f"<{name}>: expected {known}, got {attribute}={attributes[attribute]!r}; remove it")


def _required(attributes: dict[str, str], name: str, attribute: str) -> str:
    value = attributes.get(attribute, "").strip()
    if not value:
        raise _Refusal(f"<{name}>: expected {attribute}=..., got none; add it")
    return value


def _break_seconds(attributes: dict[str, str]) -> float:
    if "time" not in attributes:
        strength = attributes.get("strength", "medium")
        if strength not in _STRENGTHS:
            raise _Refusal(f"<break>: strength: expected {', '.join(_STRENGTHS)}, got {strength!r}")
        return _STRENGTHS[strength]
    match = re.fullmatch(rf"\+?({_NUMBER})(ms|s)", attributes["time"].strip())
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else math.inf
    if seconds > MAX_BREAK:
        expected = f"300ms or 1.5s, at most {MAX_BREAK:g}s"
        raise _Refusal(f"<break>: time: expected a time like {expected}, got {attributes['time']!r}")
    return seconds


def _rate(value: str) -> float:
    value = value.strip()
    if value in _RATES:
        return _RATES[value]
    match = re.fullmatch(rf"([+-]?)({_NUMBER})(%?)", value)
    if match is None or (match[1] and not match[3]):
        raise _Refusal(f"<prosody>: rate: expected 120%, +20%, 1.2 or {', '.join(_RATES)}, got {value!r}")
    number = float(match[2]) / (100 if match[3] else 1)
    return 1 + (number if match[1] == "+" else -number) if match[1] else number


def _pitch(value: str) -> float:
    value = value.strip()
    if value in _PITCHES:
        return _PITCHES[value]
    match = re.fullmatch(rf"([+-])({_NUMBER})(st|%)", value)
    change = float(f"{match[1]}{match[2]}") if match else math.nan
    if math.isnan(change) or (match[3] == "%" and change <= -100):
        raise _Refusal(f"<prosody>: pitch: expected +2st, -10% or {', '.join(_PITCHES)}, got {value!r}")
    return change if match[3] == "st" else 12 * math.log2(1 + change / 100)


def _within(limits: tuple[float, float], value: float, name: str) -> float:
    if not limits[0] <= value <= limits[1]:
        raise _Refusal(f"<prosody>: {name}: expected {limits[0]:g} to {limits[1]:g} in all, got {value:g}")
    return value
