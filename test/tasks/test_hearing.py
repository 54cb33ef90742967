from __future__ import annotations

import types

import numpy as np
import pytest
from spoken_toy import RATE, rewrite, voice, write_voice, write_wav

from speechkit.decode.words import Word
from speechkit.tasks.hearing import error_counts, hear
from speechkit.tasks.recognizer import Transcript
from speechkit.tasks.spoken_sets import choose_spoken_sets


class Ear:
    """Hears of how many tenths of a second a recording is: a word for each."""

    sampling_rate = RATE
    max_seconds = 1.0

    def __init__(self):
        self.batches = []

    def normalizer(self, text):
        return text.lower()

    def search_wavs(self, wavs):
        self.batches.append([round(len(wav) / RATE, 2) for wav in wavs])
        return [[types.SimpleNamespace(n=round(10 * len(wav) / RATE))] for wav in wavs]

    def text(self, hypothesis):
        return " ".join(["x"] * hypothesis.n)

    def words(self, hypothesis, start, end):
        return [Word("x", start, end, 0.5)]

    def transcribe(self, wav):
        self.batches.append("long")
        return Transcript("long", [Word("long", 0.0, len(wav) / RATE, 1.0)], len(wav) / RATE)


@pytest.fixture
def spoken(tmp_path):
    write_voice(tmp_path)
    return choose_spoken_sets(tmp_path)[0]


def test_every_utterance_is_heard_once_short_ones_together_and_long_ones_alone(spoken):
    ear = Ear()
    heard = hear(ear, spoken, "synthesised")  # 0.7, 0.9, 1.1 and 1.3 s, where 1 s is what can be recognised at once
    assert ear.batches == [[0.7, 0.9], "long", "long"]
    assert heard["test-0"]["text"] == " ".join("x" * 7) and heard["test-1"]["text"] == " ".join("x" * 9)
    assert heard["test-3"] == {"text": "long", "words": [{"word": "long", "start": 0.0, "end": 1.3, "confidence": 1.0}]}


def test_batches_keep_the_budget_of_padded_seconds(spoken, monkeypatch):
    monkeypatch.setattr("speechkit.tasks.hearing.BATCH_SECONDS", 1.7)
    ear = Ear()
    ear.max_seconds = 30.0
    hear(ear, spoken, "natural")  # 0.6, 0.8, 1.0 and 1.2 s
    assert ear.batches == [[0.6, 0.8], [1.0], [1.2]]


def test_in_what_is_too_short_or_not_finite_nothing_is_heard(spoken):
    write_wav(spoken.folder / spoken.rows[0]["wav"], voice(0.05))
    write_wav(spoken.folder / spoken.rows[1]["wav"], np.full(RATE, np.nan, np.float32))
    ear = Ear()
    heard = hear(ear, spoken, "synthesised")
    assert [heard[f"test-{i}"]["text"] for i in range(3)] == ["", "", "long"] and ear.batches == ["long", "long"]


def test_only_what_is_there_is_heard(tmp_path):
    rows = write_voice(tmp_path)
    rows[1]["vocoded"] = None
    rewrite(tmp_path / "synthesis" / "test", rows)
    [spoken] = choose_spoken_sets(tmp_path)
    assert sorted(hear(Ear(), spoken, "vocoded")) == ["test-0", "test-2", "test-3"]


def test_errors_are_counted_against_the_text_as_the_recogniser_spells_it(tmp_path):
    write_voice(tmp_path, texts=["Low HIGH", "high"])
    [spoken] = choose_spoken_sets(tmp_path)
    heard = {"test-0": {"text": "low high"}, "test-1": {"text": "hi high"}}
    totals, each = error_counts(Ear(), spoken, heard)
    assert (totals["wer"]["ins"], totals["wer"]["ref_len"], totals["wer"]["rate"]) == (1, 3, pytest.approx(1 / 3))
    assert totals["cer"]["errors"] == 3 and totals["cer"]["ref_len"] == 12  # "hi " is inserted
    assert each == {"test-0": {"wer": 0.0, "cer": 0.0}, "test-1": {"wer": 1.0, "cer": 0.75}}
