import math

import pytest

from speechkit.text.ssml import Span, is_ssml, parse_ssml


def speak(body):
    return parse_ssml(f"<speak>{body}</speak>")


@pytest.mark.parametrize("text", ["Hello.", "if a < b & c > d", "{h ə} <break/>", "a <speak>"])
def test_plain_text_passes_as_it_is(text):
    assert not is_ssml(text)
    assert parse_ssml(text) == [Span(text)]


def test_nothing_is_no_span():
    assert parse_ssml("") == parse_ssml(" \n") == speak("") == speak(" <p> </p>") == []


@pytest.mark.parametrize(("time", "seconds"), [("300ms", 0.3), ("1.5s", 1.5), ("+2s", 2.0), (".5s", 0.5), ("0ms", 0.0)])
def test_a_break_is_silence_behind_what_came_before(time, seconds):
    assert speak(f'One <break time="{time}"/> two.') == (
        [Span("One", pause=seconds), Span("two.")] if seconds else [Span("One two.")]
    )


def test_breaks_add_up_and_may_come_first():
    assert speak('<break time="1s"/><break strength="none"/><break time="500ms"/>a') == [Span("", pause=1.5), Span("a")]
    assert speak("a<break/>") == [Span("a", pause=0.4)]
    weak, strong = (speak(f'a<break strength="{strength}"/>')[0].pause for strength in ("weak", "x-strong"))
    assert 0 < weak < 0.4 < strong


@pytest.mark.parametrize(
    ("rate", "value"), [("120%", 1.2), ("+20%", 1.2), ("-20%", 0.8), ("1.5", 1.5), ("slow", 0.75), ("default", 1.0)]
)
def test_rates(rate, value):
    [span] = speak(f'<prosody rate="{rate}">a</prosody>')
    assert span.rate == pytest.approx(value) and span.pitch == 0


@pytest.mark.parametrize(
    ("pitch", "value"), [("+2st", 2.0), ("-1.5st", -1.5), ("+100%", 12.0), ("-50%", -12.0), ("high", 3.0)]
)
def test_pitches(pitch, value):
    [span] = speak(f'<prosody pitch="{pitch}">a</prosody>')
    assert span.pitch == pytest.approx(value) and span.rate == 1


def test_prosody_holds_for_its_element_and_nests():
    spans = speak('a <prosody rate="200%" pitch="+1st">b <prosody rate="50%" pitch="+2st">c</prosody> d</prosody> e')
    assert [(span.text, span.rate, span.pitch) for span in spans] == [
        ("a", 1, 0),
        ("b", 2, 1),
        ("c", 1, 3),
        ("d", 2, 1),
        ("e", 1, 0),
    ]


def test_sentences_and_paragraphs_end():
    spans = speak("<p><s>One</s> <s>Two</s></p>\n<p>Three <prosody rate='2'>four</prosody></p> five")
    assert [(span.text, span.ends_sentence) for span in spans] == [
        ("One", True),
        ("Two", True),
        ("Three", False),
        ("four", True),
        ("five", False),
    ]
    assert [span.text for span in spans if span.ends_paragraph] == ["Two", "four"]


def test_text_before_a_sentence_is_one_of_its_own():
    assert [span.text for span in speak("One <s>Two.</s> Three") if span.ends_sentence] == ["One", "Two."]


def test_an_alias_and_phones_are_said_instead():
    assert speak('<sub alias="World Wide Web">WWW</sub> &amp; <phoneme ph="təmˈɑːtəʊ">tomato</phoneme>!') == [
        Span("World Wide Web & {təmˈɑːtəʊ}!")
    ]


def test_another_alphabet_than_the_voice_speaks_is_an_error():
    text = '<speak><phoneme alphabet="{}" ph="AW1 S">ouse</phoneme></speak>'
    assert parse_ssml(text.format("x-arpabet"), "x-arpabet") == parse_ssml(text.format("x-arpabet")) == [Span("{AW1 S}")]
    with pytest.raises(ValueError, match="alphabet: expected 'x-arpabet', which this voice speaks, got 'ipa'"):
        parse_ssml(text.format("ipa"), "x-arpabet")


def test_what_the_standard_puts_around_is_accepted():
    document = """<?xml version="1.0" encoding="utf-16"?>
    <!-- a comment -->
    <speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US"
           xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b">
      Hello <!-- again -->
      world, é你<![CDATA[ a < b ]]>
    </speak>"""
    assert parse_ssml(document) == [Span("Hello world, é你 a < b")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("a<audio src='x'/>", "line 1, column 9: <audio>: expected one of speak, p, s, break"),
        ("\n <p><p>a</p></p>", "line 2, column 5: <p>: expected in prosody, speak, got it in <p>"),
        ("<s><p>a</p></s>", "<p>: expected in prosody, speak, got it in <s>"),
        ("<speak>a</speak>", "<speak>: expected at the top only"),
        ("<s lang='en'>a</s>", "<s>: expected no attributes, got lang='en'; remove it"),
        ("<break time='99s'/>", "<break>: time: expected a time like 300ms or 1.5s, at most 10s, got '99s'"),
        ("<break time='3'/>", "got '3'"),
        ("<break time='-3s'/>", "got '-3s'"),
        ("<break strength='huge'/>", "strength: expected none, x-weak, weak, medium, strong, x-strong, got 'huge'"),
        ("<break>a</break>", "<break>: expected nothing in it, got 'a'"),
        ("<prosody rate='9'>a</prosody>", "rate: expected 0.25 to 4 in all, got 9"),
        ("<prosody rate='2'><prosody rate='3'>a</prosody></prosody>", "rate: expected 0.25 to 4 in all, got 6"),
        ("<prosody rate='-120%'>a</prosody>", "rate: expected 0.25 to 4"),
        ("<prosody rate='+1'>a</prosody>", "rate: expected 120%, [+]20%, 1.2 or x-slow"),
        ("<prosody pitch='200Hz'>a</prosody>", "pitch: expected [+]2st, -10% or x-low"),
        ("<prosody pitch='-100%'>a</prosody>", "pitch: expected [+]2st"),
        ("<prosody pitch='+99st'>a</prosody>", "pitch: expected -24 to 24 in all, got 99"),
        ("<prosody volume='loud'>a</prosody>", "<prosody>: expected pitch, rate, got volume='loud'"),
        ("<sub>a</sub>", "<sub>: expected alias=..., got none; add it"),
        ("<phoneme ph=''>a</phoneme>", "<phoneme>: expected ph=..., got none"),
        ("<phoneme ph='a}'>b</phoneme>", "ph: expected phones without braces, got 'a}'"),
        ("<?php x?>", "<[?]php[?]>: expected no processing instruction"),
        ("a & b", "line 1, column 11: not well-formed .*; write & as &amp;"),
        ("<s>a", "mismatched tag"),
        ("&amp;&nbsp;", "undefined entity"),
    ],
)
def test_what_is_not_known_is_an_error_with_its_place(body, message):
    with pytest.raises(ValueError, match=f"SSML, .*{message.removeprefix('SSML, ')}"):
        speak(body)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("<speak>a", "no element found"),
        ("<speak/>b", "junk after document element"),
        ("<?xml version='1.0'?><html>a</html>", "<html>: expected <speak> around everything"),
    ],
)
def test_a_document_is_one_speak_element(document, message):
    with pytest.raises(ValueError, match=message):
        parse_ssml(document)


def test_entities_of_a_document_type_are_refused_before_they_grow():
    bomb = "<!DOCTYPE speak [<!ENTITY a 'ha'>" + "".join(
        f"<!ENTITY {name} '{10 * f'&{before};'}'>" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
    )
    for document in (f"{bomb}]><speak>&j;</speak>", "<!DOCTYPE speak SYSTEM 'file:///etc/passwd'><speak>a</speak>"):
        with pytest.raises(ValueError, match="<!DOCTYPE>: expected none, because entities are not read"):
            parse_ssml(document)


def test_deep_nesting_does_not_recurse():
    depth = 20_000
    assert speak("<prosody>" * depth + "a" + "</prosody>" * depth) == [Span("a")]


def test_relative_pitch_is_in_semitones():
    [span] = speak('<prosody pitch="+10%">a</prosody>')
    assert 2 ** (span.pitch / 12) == pytest.approx(1.1) and math.isfinite(span.pitch)
