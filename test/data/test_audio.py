from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import AudioSource, Recording
from lhotse.cut import MixedCut, MonoCut, MultiCut
from lhotse.utils import fastcopy

from speechkit.data.audio import AudioError, examine, load_audio, read_audio, resample

RATE = 8000


def tone(hz: float, seconds: float, rate: int = RATE, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def cut_of(path: Path, samples: np.ndarray, rate: int = RATE, **options) -> MonoCut | MultiCut:
    soundfile.write(path, samples, rate, **options)
    return Recording.from_file(path).to_cut()


@pytest.fixture
def noise(tmp_path) -> MonoCut:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 8017).astype(np.float32)
    return cut_of(tmp_path / "noise.wav", samples, subtype="FLOAT")


# --- what is read -------------------------------------------------------------------------------------------------


def test_a_file_is_read_as_soundfile_reads_it(noise):
    expected, _ = soundfile.read(noise.recording.sources[0].source, dtype="float32")
    audio = load_audio(noise, RATE)
    assert audio.dtype == np.float32 and audio.shape == (8017,)
    np.testing.assert_array_equal(audio, expected)


def test_segments_equal_lhotse(noise):
    cut = noise.truncate(offset=0.31, duration=0.47)
    np.testing.assert_array_equal(load_audio(cut, RATE), cut.load_audio()[0])


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1])
def test_speed_changes_pitch_and_duration_together_as_in_lhotse(tmp_path, factor):
    cut = cut_of(tmp_path / "tone.wav", tone(440, 1.0), subtype="FLOAT").perturb_speed(factor)
    audio = load_audio(cut, RATE)
    assert len(audio) == cut.num_samples == round(RATE / factor)
    middle = slice(500, -500)
    np.testing.assert_allclose(audio[middle], tone(440 * factor, 1 / factor)[: len(audio)][middle], atol=2e-3)
    np.testing.assert_allclose(audio[middle], cut.load_audio()[0][middle], atol=5e-3)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_a_tone_keeps_its_pitch_level_and_time_at_any_rate(tmp_path, rate):
    cut = cut_of(tmp_path / "tone.wav", tone(440, 1.0, rate), rate, subtype="FLOAT")
    audio = load_audio(cut, 16000)
    assert len(audio) == 16000
    np.testing.assert_allclose(audio[800:-800], tone(440, 1.0, 16000)[800:-800], atol=2e-3)


def test_resampling_removes_what_the_lower_rate_cannot_carry():
    audio = resample(tone(15000, 1.0, 48000), 48000, 16000)
    assert np.abs(audio[800:-800]).max() < 1e-3


def test_a_lhotse_resample_transform_needs_no_other_library(noise):
    np.testing.assert_allclose(load_audio(noise.resample(16000), 16000), load_audio(noise, 16000), atol=1e-6)


def test_channels_are_averaged_unless_the_cut_names_one(tmp_path):
    left, right = tone(300, 0.5), tone(700, 0.5)
    both = cut_of(tmp_path / "stereo.wav", np.stack([left, right], axis=1), subtype="FLOAT")
    assert isinstance(both, MultiCut)
    np.testing.assert_allclose(load_audio(both, RATE), (left + right) / 2, atol=1e-7)
    np.testing.assert_array_equal(load_audio(both.with_channels(1), RATE), right)


@pytest.fixture
def mixed(noise) -> MixedCut:
    """Speech-like noise over other noise at a ratio that only Lhotse can compute."""
    return noise.mix(noise.truncate(duration=0.5, preserve_id=False), snr=7.0)


def test_a_mixed_cut_is_read_through_lhotse(mixed):
    np.testing.assert_array_equal(load_audio(mixed, RATE), mixed.load_audio()[0])
    at_other_rate = resample(mixed.load_audio()[0], RATE, 11025)
    np.testing.assert_allclose(load_audio(mixed, 11025), at_other_rate[: round(mixed.duration * 11025)], atol=1e-6)


def test_appended_and_padded_cuts_equal_lhotse(noise):
    row = noise.truncate(duration=0.4).append(noise.truncate(offset=0.1, duration=0.3)).pad(duration=1.0)
    np.testing.assert_array_equal(load_audio(row, RATE), row.load_audio()[0])
    twice = noise.mix(noise.truncate(offset=0.1, duration=0.3), offset_other_by=0.25)
    np.testing.assert_allclose(load_audio(twice, RATE), twice.load_audio()[0], atol=1e-6)


def test_appended_cuts_change_speed_and_rate_and_use_the_cache(tmp_path):
    low, high = (cut_of(tmp_path / f"{hz}.wav", tone(hz, 0.5), subtype="FLOAT") for hz in (300, 500))
    cache: dict = {}
    row = low.append(high)
    load_audio(row, 16000, cache)
    assert len(cache) == 2
    for hz in (300, 500):
        (tmp_path / f"{hz}.wav").unlink()
    audio = load_audio(row.perturb_speed(0.8), 16000, cache)
    assert len(audio) == 20000
    np.testing.assert_allclose(audio[800:9200], tone(240, 0.625, 16000)[800:9200], atol=2e-3)
    np.testing.assert_allclose(audio[10800:19200], tone(400, 0.625, 16000)[800:9200], atol=2e-3)


def test_audio_in_memory_is_read(noise):
    np.testing.assert_array_equal(load_audio(noise.move_to_memory(), RATE), load_audio(noise, RATE))


def test_a_cached_cut_is_read_once_for_all_speeds(noise):
    cache: dict = {}
    first = load_audio(noise.perturb_speed(0.9), RATE)
    load_audio(noise, RATE, cache)
    Path(noise.recording.sources[0].source).unlink()
    np.testing.assert_array_equal(load_audio(noise.perturb_speed(0.9), RATE, cache), first)
    assert len(cache) == 1


def test_what_a_cache_holds_cannot_be_overwritten(noise):
    audio = load_audio(noise, RATE, {})
    with pytest.raises(ValueError, match="read-only"):
        audio *= 2


def test_a_cache_keeps_rates_apart(noise):
    cache: dict = {}
    assert len(load_audio(noise, 8000, cache)) != len(load_audio(noise, 16000, cache))


# --- what is refused, in one line with the cut, the file and a remedy ------------------------------------------------


def refusal(cut, sampling_rate: int = RATE) -> AudioError:
    with pytest.raises(AudioError) as caught:
        load_audio(cut, sampling_rate)
    message = str(caught.value)
    assert f"cut {cut.id}" in message and "\n" not in message and ";" in message
    return caught.value


def test_a_missing_file_is_named(noise):
    path = Path(noise.recording.sources[0].source)
    path.unlink()
    error = refusal(noise)
    assert error.reason == "missing file" and str(path) in str(error)


def test_an_empty_file_is_named(noise):
    path = Path(noise.recording.sources[0].source)
    path.write_bytes(b"")
    error = refusal(noise)
    assert error.reason == "empty file" and str(path) in str(error)


def test_a_corrupt_wav_is_named(noise):
    path = Path(noise.recording.sources[0].source)
    path.write_bytes(b"RIFF" + bytes(range(256)))
    error = refusal(noise)
    assert error.reason == "unreadable audio" and str(path) in str(error)


def test_a_file_cut_short_is_no_longer_as_long_as_its_manifest_says(noise):
    path = Path(noise.recording.sources[0].source)
    path.write_bytes(path.read_bytes()[:16000])
    error = refusal(noise)
    assert error.reason == "duration mismatch" and "1.002 s" in str(error) and "0.4" in str(error)


def test_a_flac_with_damaged_frames_is_named(tmp_path):
    cut = cut_of(tmp_path / "x.flac", np.random.default_rng(0).uniform(-1, 1, 40000))
    path = tmp_path / "x.flac"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    assert str(path) in str(refusal(cut))


def test_a_file_replaced_by_a_longer_one_is_named(noise):
    path = noise.recording.sources[0].source
    soundfile.write(path, np.zeros(3 * RATE), RATE)
    assert refusal(noise).reason == "duration mismatch"


def test_a_wav_without_samples_is_named(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0), RATE)
    source = AudioSource("file", [0], str(tmp_path / "x.wav"))
    cut = MonoCut("x", start=0, duration=0.01, channel=0, recording=Recording("x", [source], RATE, 80, 0.01))
    assert refusal(cut).reason == "no samples"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_counted(tmp_path, bad):
    samples = tone(440, 0.5)
    samples[[7, 1001]] = bad
    error = refusal(cut_of(tmp_path / "x.wav", samples, subtype="FLOAT"))
    assert error.reason == "samples not finite" and "2 of 4000" in str(error)


def test_nan_is_found_in_every_channel(tmp_path):
    samples = np.stack([tone(440, 0.5), tone(440, 0.5)], axis=1)
    samples[5, 1] = np.nan
    assert refusal(cut_of(tmp_path / "x.wav", samples, subtype="FLOAT")).reason == "samples not finite"


def test_a_channel_that_the_file_lost_is_named(tmp_path):
    cut = cut_of(tmp_path / "x.wav", np.zeros((800, 2)))
    soundfile.write(tmp_path / "x.wav", np.zeros(800), RATE)
    assert refusal(cut).reason == "missing channel"


def test_a_cut_without_recording_is_named(noise):
    assert refusal(fastcopy(noise, recording=None)).reason == "no recording"


def test_errors_inside_lhotse_are_one_line_too(noise, mixed):
    Path(noise.recording.sources[0].source).unlink()
    assert refusal(mixed).reason == "unreadable audio"


# --- examining ------------------------------------------------------------------------------------------------------


def test_examining_counts_what_a_good_file_holds(tmp_path):
    soundfile.write(tmp_path / "x.flac", np.random.default_rng(0).uniform(-1, 1, (61 * RATE, 2)), RATE)
    assert examine(tmp_path / "x.flac") == (RATE, 61 * RATE, 2)


@pytest.mark.parametrize("second", [0, 60])
def test_examining_looks_at_every_minute(tmp_path, second):
    samples = np.zeros((61 * RATE, 2), np.float32)
    samples[second * RATE + 5, 1] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=f"x.wav: samples not finite: 1 of {61 * RATE}"):
        examine(tmp_path / "x.wav")


def test_examining_accepts_wavs_from_a_pipe_that_do_not_know_their_size(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(440, 0.5), RATE)
    content = bytearray((tmp_path / "x.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "x.wav").write_bytes(content)
    assert examine(tmp_path / "x.wav").num_samples == 4000


@pytest.mark.parametrize(
    "content, reason", [(None, "missing file"), (b"", "empty file"), (b"nothing to hear", "unreadable audio")]
)
def test_examining_names_what_is_no_audio(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(AudioError, match=f"x.wav: {reason}: .*;") as caught:
        examine(tmp_path / "x.wav")
    assert caught.value.reason == reason


# --- whole files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.mp3"])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_any_common_format_is_read_from_a_path_or_bytes(tmp_path, name, as_bytes):
    soundfile.write(tmp_path / name, np.stack([tone(440, 1.0, 44100)] * 2, axis=1), 44100)
    source = (tmp_path / name).read_bytes() if as_bytes else tmp_path / name
    audio = read_audio(source, 16000)
    assert audio.ndim == 1 and audio.dtype == np.float32 and abs(len(audio) - 16000) < 1600
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    assert abs(np.argmax(spectrum) * 16000 / len(audio) - 440) < 2


def test_a_whole_wav_that_was_cut_short_is_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(440, 1.0), RATE)
    (tmp_path / "x.wav").write_bytes((tmp_path / "x.wav").read_bytes()[:9000])
    with pytest.raises(AudioError, match="x.wav: unreadable audio: cut short: expected 16044 bytes .* got 9000;"):
        read_audio(tmp_path / "x.wav", 16000)


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f", bytes(4)])
def test_a_wav_from_a_pipe_that_does_not_know_its_size_is_read_whole(tmp_path, size, as_bytes):
    soundfile.write(tmp_path / "x.wav", tone(440, 0.5), RATE)
    content = bytearray((tmp_path / "x.wav").read_bytes())
    content[4:8] = size
    content[40:44] = size if any(size) else content[40:44]
    (tmp_path / "x.wav").write_bytes(content)
    assert len(read_audio(bytes(content) if as_bytes else tmp_path / "x.wav", RATE)) == 4000


def test_a_folder_is_no_recording_and_says_how_to_give_its_files(tmp_path):
    with pytest.raises(AudioError, match=r": not a recording: it is a directory; give its files, as in .*/\*\.wav"):
        read_audio(tmp_path, 16000)


@pytest.mark.parametrize("content, reason", [(b"", "empty file"), (b"no audio at all", "unreadable audio")])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_whole_files_that_hold_no_audio_are_refused(tmp_path, monkeypatch, content, reason, as_bytes):
    monkeypatch.setenv("PATH", str(tmp_path))  # no ffmpeg here
    (tmp_path / "x.m4a").write_bytes(content)
    with pytest.raises(AudioError) as caught:
        read_audio(content if as_bytes else tmp_path / "x.m4a", 16000)
    assert caught.value.reason == reason
    assert ("audio from bytes" if as_bytes else str(tmp_path / "x.m4a")) in str(caught.value)
    assert reason == "empty file" or "install ffmpeg" in str(caught.value)


def test_a_missing_whole_file_is_refused(tmp_path):
    with pytest.raises(AudioError, match="gone.wav: missing file"):
        read_audio(tmp_path / "gone.wav", 16000)


def test_whole_files_with_nan_are_refused():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(100, np.nan, np.float32), RATE, format="wav", subtype="FLOAT")
    with pytest.raises(AudioError, match="100 of 100"):
        read_audio(buffer.getvalue(), RATE)


def fake_ffmpeg(folder: Path, body: str) -> None:
    script = folder / "ffmpeg"
    script.write_text(f"#!{sys.executable}\nimport struct, sys\nargs = sys.argv[1:]\n{body}\n")
    script.chmod(0o755)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_ffmpeg_decodes_what_libsndfile_cannot(tmp_path, monkeypatch, as_bytes):
    fake_ffmpeg(
        tmp_path,
        "content = open(args[args.index('-i') + 1], 'rb').read()\n"
        "assert content == b'strange format' and args[args.index('-ac') + 1] == '1'\n"
        "sys.stdout.buffer.write(struct.pack('<3f', 0.25, -0.5, float(args[args.index('-ar') + 1])))",
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x.m4a").write_bytes(b"strange format")
    audio = read_audio(b"strange format" if as_bytes else tmp_path / "x.m4a", 22050)
    np.testing.assert_array_equal(audio, np.float32([0.25, -0.5, 22050]))
    audio *= 2  # callers may write to it


def test_what_ffmpeg_refuses_is_said(tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, "sys.exit('first line\\nInvalid data found')")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match="bytes: unreadable audio: ffmpeg says: Invalid data found;"):
        read_audio(b"strange format", 16000)
