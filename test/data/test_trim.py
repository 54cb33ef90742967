from __future__ import annotations

import numpy as np
import pytest

from speechkit.data.trim import TrimConfig, trim

RATE = 8000


def tone(before: int, length: int, after: int, level: float = 0.0) -> np.ndarray:
    wav = np.full(before + length + after, level, dtype=np.float32)
    wav[before : before + length] = 0.5
    return wav


@pytest.mark.parametrize("margin", [0.0, 0.03])
def test_silence_goes_but_for_its_margin(margin):
    wav = tone(1600, 800, 2400)
    found = trim(wav, RATE, TrimConfig(margin=margin))
    samples = round(margin * RATE)
    np.testing.assert_array_equal(found, wav[1600 - samples : 2400 + samples])


def test_speech_up_to_the_ends_stays_whole():
    for length in (79, 80, 81, 1234):
        wav = tone(0, length, 0)
        assert len(trim(wav, RATE, TrimConfig())) == length


def test_the_end_is_heard_where_windows_do_not_add_up():
    wav = tone(800, 47, 0)  # in the last window, which overlaps that before it
    found = trim(wav, RATE, TrimConfig(margin=0.0))
    assert np.count_nonzero(found) == 47 and len(found) <= 160


def test_what_is_silence_is_measured_from_the_loudest():
    quiet = tone(800, 800, 800, level=0.5 * 10 ** (-30 / 20))
    assert len(trim(quiet, RATE, TrimConfig(threshold=40.0))) == 2400
    assert len(trim(quiet, RATE, TrimConfig(threshold=20.0, margin=0.0))) == 800


def test_silence_alone_stays():
    assert len(trim(np.zeros(999, np.float32), RATE, TrimConfig())) == 999
