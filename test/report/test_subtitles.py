"""Subtitles against the grammar of their formats, and against what a viewer expects of them."""

from __future__ import annotations

import itertools
import json
import random
import re

import pytest

from speechkit.decode.words import Word
from speechkit.report import subtitles
from speechkit.report.subtitles import SubtitleConfig, join_words, make_cues

PAUSED = [Word("hello", 0.5, 0.9, 0.9), Word("there", 1.0, 1.25, 0.8), Word("you", 3.5, 3.75, 0.7)]


def transcript(text, seconds=0.3, gap=0.1, start=0.0):
    """Words of equal length one after the other."""
    starts = (start + index * (seconds + gap) for index in itertools.count())
    return [Word(word, time, time + seconds, 0.5) for word, time in zip(text.split(), starts)]


def random_transcript(seed, num_words=200):
    chance, words, time = random.Random(seed), [], 0.0
    for _ in range(num_words):
        time += chance.choice([0.0, 0.0004, 0.1, 0.3, 2.0])
        word = chance.choice(["a", "of", "speech", "recognition,", "end.", "你", "好。", "<i>&", "x" * 60])
        words.append(Word(word, time, end := time + chance.choice([0.0, 0.0003, 0.2, 0.9, 9.0]), chance.random()))
        time = end
    return words


# --- formats ------------------------------------------------------------------------------------------------------


def test_srt_is_written_as_the_format_says():
    assert subtitles.srt(PAUSED) == (
        "1\n00:00:00,500 --> 00:00:01,500\nhello there\n\n"
        "2\n00:00:03,500 --> 00:00:04,500\nyou\n\n"
    )  # fmt: skip


def test_vtt_is_written_as_the_format_says():
    assert subtitles.vtt(PAUSED) == (
        "WEBVTT\n"
        "\n00:00:00.500 --> 00:00:01.500\nhello there\n"
        "\n00:00:03.500 --> 00:00:04.500\nyou\n"
    )  # fmt: skip


def test_text_has_a_line_per_sentence_or_pause():
    words = transcript("It works. Does it?") + transcript("yes it does", start=9.0)
    assert subtitles.text(words) == "It works.\nDoes it?\nyes it does\n"


def test_json_holds_cues_and_words_with_times_and_confidences():
    found = json.loads(subtitles.json(PAUSED))
    assert found["text"] == "hello there you"
    segments = [(segment["start"], segment["end"], segment["text"]) for segment in found["segments"]]
    assert segments == [(0.5, 1.25, "hello there"), (3.5, 3.75, "you")]
    assert found["segments"][1]["words"] == [{"word": "you", "start": 3.5, "end": 3.75, "confidence": 0.7}]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "00:00:00.000"),
        (59.9996, "00:01:00.000"),
        (3599.9999, "01:00:00.000"),
        (7325.25, "02:02:05.250"),
        (360000.5, "100:00:00.500"),
    ],
)
def test_times_are_rounded_as_a_whole_and_hours_may_have_three_digits(seconds, written):
    word = Word("late", seconds, seconds + 1.0, 0.5)
    assert f"{written} --> " in subtitles.vtt([word])
    assert f"{written.replace('.', ',')} --> " in subtitles.srt([word])


def test_markup_is_escaped_in_vtt_and_arrows_cannot_end_a_cue():
    assert "\na &lt;b&gt; &amp;amp; --&gt; c\n" in subtitles.vtt(transcript("a <b> &amp; --> c"))


def test_a_word_with_line_breaks_cannot_end_a_cue():
    words = [Word("two\n\nlines", 0.0, 0.5, 0.5), Word(" \n", 0.5, 0.6, 0.5)]
    assert subtitles.srt(words) == "1\n00:00:00,000 --> 00:00:01,000\ntwo lines\n\n"


def test_no_words_are_no_cues():
    assert (subtitles.text([]), subtitles.srt([]), subtitles.vtt([])) == ("", "", "WEBVTT\n")
    assert json.loads(subtitles.json([])) == {"text": "", "segments": []}


TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)[.,](\d{3})"


def milliseconds(hours, minutes, seconds, fraction):
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction)


def parse(block):
    """A cue as W3C WebVTT section 4.1 (without number) or SubRip has it: its times in ms and its lines."""
    timing, *lines = block.split("\n")
    match = re.fullmatch(f"{TIME} --> {TIME}", timing)
    assert match and lines and all(lines) and not any("-->" in line for line in lines)
    return milliseconds(*match.groups()[:4]), milliseconds(*match.groups()[4:]), lines


@pytest.mark.parametrize("seed", range(10))
def test_random_transcripts_give_files_that_keep_the_grammar_and_the_order_and_all_words(seed):
    words = random_transcript(seed)
    header, *blocks = subtitles.vtt(words).removesuffix("\n").split("\n\n")
    cues = [parse(block) for block in blocks]
    assert header == "WEBVTT"
    assert not re.search(r"<|&(?!amp;|lt;|gt;)", "".join(line for _, _, lines in cues for line in lines))
    assert all(start < end for start, end, _ in cues)
    starts = [start for start, _, _ in cues]
    assert starts == sorted(starts)
    assert all(end <= later or end == start + 1 for (start, end, _), later in zip(cues, starts[1:]))
    numbers, srt = zip(*(block.split("\n", 1) for block in subtitles.srt(words).removesuffix("\n\n").split("\n\n")))
    assert list(numbers) == [str(n) for n in range(1, len(cues) + 1)]
    assert [parse(block)[:2] for block in srt] == [cue[:2] for cue in cues]
    spoken = "".join(line for block in srt for line in parse(block)[2])
    assert spoken.replace(" ", "") == "".join(word.word for word in words)


# --- cues ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("config", [SubtitleConfig(), SubtitleConfig(max_chars=17, max_lines=3, max_duration=2.5)])
def test_a_cue_keeps_within_all_limits_unless_one_word_exceeds_them(seed, config):
    for cue in make_cues(random_transcript(seed), config):
        assert len(cue.lines) <= config.max_lines or len(cue.words) == 1
        assert cue.words[-1].end - cue.words[0].start <= config.max_duration or len(cue.words) == 1
        for line in cue.lines:
            width = sum(2 if char in "你好。" else 1 for char in line)
            assert width <= config.max_chars or line == "x" * 60
        for before, after in zip(cue.words, cue.words[1:]):
            assert after.start - before.end <= config.max_pause
            assert not before.word.endswith((".", "。"))


def test_a_long_sentence_is_cut_after_a_clause_rather_than_before_its_last_word():
    text = "the quick brown fox jumps over the lazy dog, and then it says that speech recognition is hard for a fox"
    first, second = make_cues(transcript(text, seconds=0.2, gap=0.05))
    assert first.words[-1].word == "dog," and second.words[0].word == "and"


def test_a_long_sentence_without_marks_is_cut_at_its_longest_pause_near_the_middle():
    words = transcript("a b c d e f", seconds=0.6) + transcript("g h i j k l m n o p", seconds=0.6, start=4.7)
    cues = make_cues(words, SubtitleConfig(max_duration=8.0))
    assert [[word.word for word in cue.words] for cue in cues] == [list("abcdef"), list("ghijklmnop")]


def test_lines_are_as_even_as_their_number_allows():
    (cue,) = make_cues(transcript("the quick brown fox jumps over the lazy dog again", seconds=0.1))
    assert cue.lines == ["the quick brown fox jumps", "over the lazy dog again"]


def test_a_short_cue_stays_until_it_can_be_read_or_the_next_one_starts():
    words = [Word("no.", 0.0, 0.2, 0.5), Word("yes.", 0.6, 0.8, 0.5)]
    cues = make_cues(words, SubtitleConfig(min_duration=1.0))
    assert [cue.end for cue in cues] == pytest.approx([0.6, 1.6])


@pytest.mark.parametrize("wrong", [Word("b", 0.4, 0.6, 0.5), Word("b", 0.9, 0.8, 0.5)])
def test_words_out_of_order_are_an_error_that_names_the_word(wrong):
    with pytest.raises(ValueError, match=r"word 'b': expected 0.5 <= start <= end, got .*; sort the words"):
        subtitles.srt([Word("a", 0.5, 0.6, 0.5), wrong])


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["hello", "there"], "hello there"),
        (["你", "好", "，", "世", "界", "。"], "你好，世界。"),
        (["我", "用", "Python", "三"], "我用Python三"),
        (["ありがとう", "ございます"], "ありがとうございます"),
        (["안녕", "하세요"], "안녕 하세요"),
        ([], ""),
    ],
)
def test_words_are_joined_as_their_script_is_written(words, joined):
    assert join_words(words) == joined
