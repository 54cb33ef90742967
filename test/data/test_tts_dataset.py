from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from lhotse import Recording, SupervisionSegment

from speechkit.data.trim import TrimConfig
from speechkit.data.tts_dataset import FrameData, TtsDataset

RATE = 8000
LENGTHS = [4001, 2711]


def tokenize(text):
    if "!" in text:
        raise ValueError(f"no token for {text!r}")
    return [ord(symbol) - 96 for symbol in text]


@pytest.fixture
def cuts(tmp_path):
    random, cuts = np.random.default_rng(0), []
    for name, length in zip("ab", LENGTHS):
        soundfile.write(tmp_path / f"{name}.wav", random.uniform(-0.5, 0.5, length), RATE, subtype="FLOAT")
        cut = Recording.from_file(tmp_path / f"{name}.wav").to_cut()
        cut.supervisions = [SupervisionSegment(name, name, 0.0, cut.duration, text=name * (len(cuts) + 1), speaker=name)]
        cuts.append(cut)
    return cuts


def dataset(**given):
    return TtsDataset(tokenize, RATE, lambda cut: {"a": 5, "b": 2}[cut.supervisions[0].speaker], **given)


def test_a_batch_holds_everything_zero_padded(cuts):
    pitch = lambda cut, wav: np.full(len(wav) // 7, 90.0, np.float32)
    durations = {"a": np.array([571], np.int32), "b": np.array([380, 7], np.int32)}
    batch = dataset(frame_data=FrameData(lambda length: length // 7, pitch, durations))[cuts]
    assert batch.ids == ["a", "b"] and batch.texts == ["a", "bb"] and batch.speakers.tolist() == [5, 2]
    assert batch.wavs.shape == (2, 4001) and batch.wav_lens.tolist() == LENGTHS and not batch.wavs[1, 2711:].any()
    assert batch.tokens.tolist() == [[1, 0], [2, 2]] and batch.token_lens.tolist() == [1, 2]
    assert batch.token_durations.tolist() == [[571, 0], [380, 7]] and batch.token_durations.dtype == torch.int64
    assert batch.pitch.shape == (2, 571) and batch.pitch[1, :387].eq(90).all() and not batch.pitch[1, 387:].any()
    np.testing.assert_array_equal(batch.wavs[0], cuts[0].load_audio()[0])
    plain = dataset()[cuts]
    assert plain.pitch is None and plain.token_durations is None


@pytest.mark.parametrize("cached", [False, True])
def test_silence_is_trimmed_before_anything_is_measured(tmp_path, cuts, cached):
    wav = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    wav[:1600] = 0
    soundfile.write(tmp_path / "a.wav", wav, RATE, subtype="FLOAT")
    heard = []
    pitch = lambda cut, wav: heard.append(len(wav)) or np.zeros(len(wav), np.float32)
    config = TrimConfig(margin=0.0)
    reader = dataset(frame_data=FrameData(lambda length: length, pitch), trim_config=config, cache_audio=cached)
    for _ in range(2):
        batch = reader[cuts[:1]]
        assert batch.wav_lens.tolist() == heard[-1:] == [2401] and batch.durations == [2401 / RATE]
        np.testing.assert_array_equal(batch.wavs[0], wav[1600:])
        batch.wavs.zero_()  # what a batch holds is its own


@pytest.mark.parametrize(
    ("text", "message"), [("a!", "cut b: no token for 'a!'"), ("", "cut b: expected a transcript to speak")]
)
def test_a_transcript_that_cannot_be_spoken_names_the_cut(cuts, text, message):
    cuts[1].supervisions[0].text = text
    with pytest.raises(ValueError, match=message):
        dataset()[cuts]


@pytest.mark.parametrize(
    ("durations", "message"),
    [
        ({}, "cut a: expected durations of its 1 tokens, got none"),
        ({"a": np.array([1, 2])}, "cut a: expected durations of its 1 tokens, got those of 2"),
        ({"a": np.array([570])}, "cut a: durations that add up to frames: expected 571, got 570"),
    ],
)
def test_durations_that_do_not_fit_name_the_cut(cuts, durations, message):
    with pytest.raises(ValueError, match=message):
        dataset(frame_data=FrameData(lambda length: length // 7, None, durations))[cuts[:1]]


def test_pitch_of_another_number_of_frames_names_the_cut(cuts):
    short = FrameData(lambda length: length // 7, lambda cut, wav: np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="cut a: values of pitch: expected 571, got 3"):
        dataset(frame_data=short)[cuts]
