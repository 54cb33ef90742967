from __future__ import annotations

import json

import pytest
from voice_toy import write_scored

from speechkit.report.voices import kinds_of, measure_cells, rate_cells, read_voices, shown_measures, size_of, speed_of


@pytest.fixture
def voice(tmp_path):
    write_scored(tmp_path)
    [voice] = read_voices(tmp_path)
    return voice


def test_the_numbers_of_a_set_are_those_of_its_files(voice):
    assert voice.name == "test" and voice.recognizer == "exp/ctc" and voice.kinds == ["natural", "vocoded", "synthesised"]
    assert (voice.rate("synthesised", "wer")["errors"], voice.rate("natural", "wer")["errors"]) == (2, 0)
    assert rate_cells(voice, "synthesised")[0] == "25.00" and rate_cells(voice, "vocoded") == ["–"] * 4
    assert voice.problems() == ["2 clipped"] and size_of(voice) == "1.23 M" and speed_of(voice) == "0.2500"


def test_vocoded_speech_has_a_distortion_only_and_natural_speech_none(voice):
    columns = shown_measures([voice])
    assert columns == ["MCD dB", "length %"]
    assert measure_cells(voice, "synthesised", columns) == ["5.50", "4.50–6.50", "102.0", "98.0–106.0"]
    assert measure_cells(voice, "vocoded", columns) == ["1.25", "1.00–1.50", "–", "–"]
    assert measure_cells(voice, "natural", columns) == ["–"] * 4


def test_what_was_heard_is_aligned_with_the_text(voice):
    report = voice.errors("synthesised", ["test-3", "test-0"])
    assert [u.id for u in report.utterances] == ["test-3", "test-0"] and report.unit == "word"
    assert report.utterances[0].alignment[0] == (None, "hi")
    assert voice.errors("vocoded", ["test-3"]) is None


def test_rows_are_only_of_kinds_that_have_numbers(tmp_path):
    write_scored(tmp_path / "deaf", heard=None)
    write_scored(tmp_path / "heard")
    assert kinds_of(read_voices(tmp_path / "deaf")[0]) == ["vocoded", "synthesised"]
    assert kinds_of(read_voices(tmp_path / "heard")[0]) == ["natural", "vocoded", "synthesised"]


def test_a_set_that_was_not_scored_is_there_without_numbers(tmp_path):
    write_scored(tmp_path)
    (tmp_path / "synthesis" / "test" / "scores.json").unlink()
    [voice] = read_voices(tmp_path)
    assert voice.scores == {} and voice.recognizer is None and voice.measure("mcd") is None
    assert rate_cells(voice, "synthesised") == ["–"] * 4 and voice.problems() == []


def test_text_without_spaces_is_counted_in_characters(tmp_path):
    write_scored(tmp_path, texts=["今天", "天气", "很好", "再见"], heard=["今天"] * 4)
    [voice] = read_voices(tmp_path)
    assert voice.unit == "char" and len(voice.errors("synthesised", ["test-1"]).utterances[0].alignment) == 3


@pytest.mark.parametrize("file", ["scores.json", "scores.jsonl"])
def test_damaged_scores_are_named_with_the_remedy(tmp_path, file):
    write_scored(tmp_path)
    (tmp_path / "synthesis" / "test" / file).write_text(json.dumps({"id": 3}))
    with pytest.raises(ValueError, match=f"{file}.*score the set again"):
        read_voices(tmp_path)
