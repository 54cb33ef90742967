"""Alignments against the grammar of their formats."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import re

import pytest

from speechkit.decode.words import Word
from speechkit.report import alignment
from speechkit.tasks.align import AlignedSpeech

WORDS = [Word("say", 0.25, 0.5, 0.9), Word('"hi"', 0.5, 0.75, 0.8)]
PHONES = [Word("s", 0.25, 0.3, 0.9), Word("ey", 0.35, 0.5, 0.9), Word("h", 0.5, 0.5, 0.8), Word("ay", 0.5, 0.75, 0.8)]
SPEECH = AlignedSpeech("a-1", "tape a", 1, 10.0, 1.0, -3.25, WORDS, PHONES, "phones")


def parse(text):
    """A TextGrid in long format as {tier: [(start, end, label)]}; every line must be what the format has there."""
    lines = iter([line.strip() for line in text.splitlines()])

    def value(name):
        line = next(lines)
        assert line.startswith(f"{name} = "), (line, name)
        return line.removeprefix(f"{name} = ")

    assert next(lines) == 'File type = "ooTextFile"' and next(lines) == 'Object class = "TextGrid"' and next(lines) == ""
    assert value("xmin") == "0"
    end, tiers = value("xmax"), {}
    assert next(lines) == "tiers? <exists>"
    count = int(value("size"))
    assert next(lines) == "item []:"
    for number in range(1, count + 1):
        assert next(lines) == f"item [{number}]:" and value("class") == '"IntervalTier"'
        name = value("name").strip('"')
        assert value("xmin") == "0" and value("xmax") == end
        size = int(re.fullmatch(r"intervals: size = (\d+)", next(lines))[1])
        tiers[name] = []
        for interval in range(1, size + 1):
            assert next(lines) == f"intervals [{interval}]:"
            tiers[name].append((float(value("xmin")), float(value("xmax")), value("text")[1:-1].replace('""', '"')))
    assert list(lines) == []
    return float(end), tiers


def test_a_textgrid_has_words_and_phones_with_silence_between_them():
    end, tiers = parse(alignment.textgrid(SPEECH))
    assert end == 1.0
    assert tiers["words"] == [(0, 0.25, ""), (0.25, 0.5, "say"), (0.5, 0.75, '"hi"'), (0.75, 1, "")]
    assert tiers["phones"] == [
        (0, 0.25, ""), (0.25, 0.3, "s"), (0.3, 0.35, ""), (0.35, 0.5, "ey"), (0.5, 0.501, "h"), (0.501, 0.75, "ay"), (0.75, 1, ""),
    ]  # fmt: skip


def test_tokens_that_are_the_words_have_no_tier_and_spaces_no_interval():
    assert list(parse(alignment.textgrid(dataclasses.replace(SPEECH, tokens=WORDS)))[1]) == ["words"]
    spaced = [Word("a", 0.0, 0.1, 1.0), Word(" ", 0.2, 0.3, 1.0), Word("b", 0.4, 0.5, 1.0)]
    tiers = parse(alignment.textgrid(dataclasses.replace(SPEECH, tokens=spaced, unit="tokens")))[1]
    assert [label for _, _, label in tiers["tokens"]] == ["a", "", "b", ""]


def test_an_utterance_without_words_is_one_silence():
    assert parse(alignment.textgrid(dataclasses.replace(SPEECH, words=[], tokens=[])))[1] == {"words": [(0, 1, "")]}


@pytest.mark.parametrize("seed", range(20))
def test_intervals_cover_the_utterance_in_order_and_all_take_time(seed):
    chance, time, words = random.Random(seed), 0.0, []
    for number in range(chance.choice([1, 5, 40])):
        time += chance.choice([0.0, 0.0, 0.0004, 0.1])
        start, time = time, time + chance.choice([0.0, 0.0, 0.0003, 0.2])
        words.append(Word(f"w{number}", start, time, 0.5))
    duration = time + chance.choice([0.0, 0.5]) or 0.01
    end, tiers = parse(alignment.textgrid(dataclasses.replace(SPEECH, words=words, tokens=words, duration=duration)))
    intervals = tiers["words"]
    assert intervals[0][0] == 0 and intervals[-1][1] == end == pytest.approx(duration, abs=1e-6)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(intervals)) and all(start < stop for start, stop, _ in intervals)
    assert [label for _, _, label in intervals if label] == [word.word for word in words]
    found = [interval for interval in intervals if interval[2]]
    assert all(abs(start - word.start) <= 0.001 * len(words) for (start, _, _), word in zip(found, words))


def test_ctm_counts_channels_from_one_and_times_from_the_start_of_the_recording():
    assert alignment.ctm(SPEECH) == 'tape_a 2 10.250 0.250 say 0.900\ntape_a 2 10.500 0.250 "hi" 0.800\n'
    assert alignment.ctm(SPEECH, "tokens").splitlines()[2] == "tape_a 2 10.500 0.000 h 0.800"


def test_json_is_a_line_that_holds_everything():
    line = alignment.json(SPEECH)
    found = json.loads(line)
    assert line.count("\n") == 1 and found["words"][1] == {"word": '"hi"', "start": 0.5, "end": 0.75, "confidence": 0.8}
    assert {k: found[k] for k in ("id", "recording", "channel", "start", "duration", "score", "unit")} == {
        "id": "a-1", "recording": "tape a", "channel": 1, "start": 10.0, "duration": 1.0, "score": -3.25, "unit": "phones",
    }  # fmt: skip
