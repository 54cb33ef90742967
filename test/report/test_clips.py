from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import soundfile

from speechkit.report.clips import ClipBudget, NoClip, encode


def chirp(rate: int, seconds: float) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    return 0.4 * np.sin(2 * np.pi * (200 + 300 * time) * time)


def decoded(clip: bytes) -> tuple[np.ndarray, int]:
    return soundfile.read(io.BytesIO(clip))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_clip_sounds_like_its_file_and_is_small(tmp_path, rate, suffix):
    path, wav = tmp_path / f"a{suffix}", chirp(rate, 2.0)
    soundfile.write(path, np.stack([wav, wav], axis=1), rate)
    clip, mime = encode(str(path))
    heard, heard_rate = decoded(clip)
    assert len(heard) / heard_rate == pytest.approx(2.0, abs=0.02) and heard.ndim == 1
    expected = chirp(heard_rate, 2.0)[: len(heard)]
    assert np.corrcoef(heard[: len(expected)], expected)[0, 1] > 0.95
    assert mime == "audio/ogg" and len(clip) < 2.0 * 6000


def test_channels_are_averaged(tmp_path):
    path, wav = tmp_path / "a.wav", chirp(8000, 1.0)
    soundfile.write(path, np.stack([wav, np.zeros(8000)], axis=1), 8000)
    assert np.std(decoded(encode(str(path))[0])[0]) == pytest.approx(np.std(wav) / 2, rel=0.1)


def test_of_several_channels_one_can_be_heard_alone(tmp_path):
    path, wav = tmp_path / "a.wav", chirp(8000, 1.0)
    soundfile.write(path, np.stack([wav, np.zeros(8000)], axis=1), 8000)
    loudness = [np.std(decoded(encode(str(path), channel=i)[0])[0]) for i in (0, 1)]
    assert loudness == pytest.approx([np.std(wav), 0.0], rel=0.1, abs=1e-3)
    row = {"audio": {"path": str(path), "start": 0.0, "duration": 1.0, "channel": 2}}
    assert "no channel 3" in str(ClipBudget(10**6).player(row, ""))


def test_only_the_stretch_of_the_utterance_is_taken(tmp_path):
    path, rate = tmp_path / "long.wav", 8000
    wav = np.concatenate([np.zeros(3 * rate), chirp(rate, 1.0), np.zeros(2 * rate)])
    soundfile.write(path, wav, rate)
    heard, heard_rate = decoded(encode(str(path), start=3.0, duration=1.0)[0])
    assert len(heard) / heard_rate == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(heard[:rate], chirp(rate, 1.0)[: len(heard)])[0, 1] > 0.98


def test_flac_stands_in_where_opus_cannot_be_written(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, chirp(8000, 0.5), 8000)
    monkeypatch.setattr(soundfile, "available_subtypes", lambda container: {"VORBIS": "Vorbis"})
    clip, mime = encode(str(path))
    assert mime == "audio/flac" and np.abs(decoded(clip)[0] - chirp(8000, 0.5)).max() < 1e-3


def test_audio_that_cannot_be_had_is_a_reason_not_a_crash(tmp_path):
    broken, empty, long = (tmp_path / name for name in ("broken.wav", "empty.wav", "long.wav"))
    broken.write_bytes(b"RIFF....")
    soundfile.write(empty, np.zeros(0), 8000)
    soundfile.write(long, np.zeros(8000 * 61), 8000)
    for path, reason in (
        (tmp_path / "gone.wav", "gone.wav"),
        (broken, "broken.wav"),
        (empty, "no finite samples"),
        (long, "longer than 60 s"),
    ):
        with pytest.raises(NoClip, match=reason):
            encode(str(path))
        player = ClipBudget(10**6).player({"audio": {"path": str(path)}}, "a")
        assert "no audio here" in player and reason in player and "<audio" not in player


def test_loud_samples_are_clipped_and_nan_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    loud = 10.0 * chirp(8000, 0.5)
    soundfile.write(path, loud, 8000, subtype="FLOAT")
    heard = decoded(encode(str(path))[0])[0]
    assert np.std(heard) == pytest.approx(np.std(np.clip(loud, -1, 1)), rel=0.1)
    soundfile.write(path, np.full(800, np.nan), 8000, subtype="FLOAT")
    with pytest.raises(NoClip, match="no finite samples"):
        encode(str(path))


def test_the_budget_holds_and_counts_what_it_leaves_out(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, chirp(8000, 1.0), 8000)
    row = {"audio": {"path": str(path), "start": 0.0, "duration": 1.0}}
    size = len(base64.b64encode(encode(str(path))[0]))
    budget = ClipBudget(2 * size + size // 2)
    players = [budget.player(row, "a") for _ in range(4)]
    assert ["<audio" in player for player in players] == [True, True, False, False]
    assert budget.left_out == 2 and "left out to keep the page small" in players[3]
    assert ClipBudget(0).player({"audio": None}, "a").count("no part of a single file") == 1
