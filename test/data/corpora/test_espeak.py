from __future__ import annotations

import shutil
import time

import espeakng_loader
import numpy as np
import pytest

from speechkit.data.corpora.espeak import SAMPLING_RATE, Sentence, speak
from speechkit.data.corpora.mini import ACCENTS, VARIANTS

HELLO = Sentence("hello world", "en-us+f2")


def seconds(block):
    return len(block) / 2 / SAMPLING_RATE


def test_the_same_list_gives_the_same_bytes():
    sentences = [HELLO, Sentence("seven two nine", "en+m3", rate=200, pitch=60), HELLO]
    first = list(speak(sentences))
    time.sleep(1.1)  # espeak-ng would seed the noise of breathy voices, such as f2, by the second
    second = list(speak(sentences))
    assert first == second
    assert len(set(first)) == 3  # the third differs from the first: why a child process speaks the whole list


def test_each_sentence_is_its_own_block():
    short, long = speak([Sentence("one", "en"), Sentence("one two three four five six seven", "en")])
    assert 0.2 < seconds(short) < 1.0
    assert seconds(long) > 2.5 * seconds(short)


def test_rate_is_the_number_of_words_in_a_minute():
    text = "seven two nine one five eight zero four three six"
    slow, fast = speak([Sentence(text, "en", rate=120), Sentence(text, "en", rate=240)])
    assert 1.6 < seconds(slow) / seconds(fast) < 2.4


def fundamental(block):
    """Hz of the highest peak of the autocorrelation, lags of 2 to 16 ms (60 to 500 Hz)."""
    samples = np.frombuffer(block, np.int16).astype(float)
    spectrum = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    correlation = np.fft.irfft(spectrum)
    shortest, longest = int(0.002 * SAMPLING_RATE), int(0.016 * SAMPLING_RATE)
    return SAMPLING_RATE / (shortest + correlation[shortest:longest].argmax())


def test_pitch_raises_the_voice():
    low, high = speak([Sentence("a", "en-us", pitch=p, pitch_range=0) for p in (20, 80)])
    assert fundamental(high) > 1.3 * fundamental(low)


def test_every_voice_of_the_built_in_corpus_exists_and_is_audible():
    variants = [variant for names in VARIANTS.values() for variant in names]
    voices = [*(f"en-us+{variant}" for variant in variants), *(f"{accent}+m1" for accent in ACCENTS)]
    for voice, block in zip(voices, speak([Sentence("seven", voice) for voice in voices]), strict=True):
        loudness = np.sqrt(np.mean(np.square(np.frombuffer(block, np.int16) / 32768)))
        assert loudness > 0.01, voice


def test_a_voice_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"espeak-ng: no voice 'en-gb\+f2'.*accent"):
        list(speak([HELLO, Sentence("hello", "en-gb+f2")]))


def test_a_data_folder_with_a_long_path_works(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    expected = list(speak([HELLO]))
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep / "espeak-ng-data"))
    assert list(speak([HELLO])) == expected


def test_data_that_is_missing_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(ValueError, match=rf"(?s)espeak-ng: .*{tmp_path}.*reinstall espeakng-loader"):
        list(speak([HELLO]))


def test_nobody_has_to_listen_to_the_end():
    blocks = speak([Sentence("one two three four five six seven eight nine", "en")] * 100)
    assert next(blocks)
    blocks.close()


def test_words_need_no_ascii_and_text_may_be_long():
    [mandarin, long] = speak([Sentence("打开厨房的灯", "cmn"), Sentence("seven " * 200, "en")])
    assert seconds(mandarin) > 0.8
    assert seconds(long) > 40


def test_the_child_needs_no_package_but_the_standard_library(tmp_path):
    """It runs without site-packages (-S), so it starts in milliseconds and nothing can shadow its imports."""
    import subprocess
    import sys

    from speechkit.data.corpora import espeak

    copy = shutil.copy(espeak.__file__, tmp_path)
    assert subprocess.run([sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({copy!r})"]).returncode == 0
