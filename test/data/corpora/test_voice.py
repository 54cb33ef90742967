from __future__ import annotations

import itertools

import numpy as np
import pytest
import soundfile
import voice_layouts

from speechkit.data.audio import AudioError
from speechkit.data.corpora.base import read_recording
from speechkit.data.corpora.ljspeech import LjSpeech
from speechkit.data.corpora.voice import _longest_run, bad_audio, hold_out_last, make_cut, read_transcript


def write(path, audio):
    soundfile.write(path, audio, 16000, subtype="PCM_16")
    return path


def test_a_clip_that_stays_at_the_top_is_clipped_and_one_that_touches_it_is_not(tmp_path):
    noise = voice_layouts.burst(0, 16000)
    clipped = np.clip(3 * noise, -1, 1)
    peak = noise.copy()
    peak[500] = 1.0
    low = noise.copy()
    low[500:504] = -1.0
    assert bad_audio(write(tmp_path / "a.wav", noise)) is None
    assert bad_audio(write(tmp_path / "b.wav", np.repeat(clipped, 4))) == "clipped"
    assert bad_audio(write(tmp_path / "c.wav", peak)) is None
    assert bad_audio(write(tmp_path / "d.wav", low)) == "clipped"


def test_a_clip_without_a_sound_is_silent(tmp_path):
    assert bad_audio(write(tmp_path / "zero.wav", np.zeros(997))) == "silent"
    assert bad_audio(write(tmp_path / "hiss.wav", voice_layouts.burst(0, 16000, peak=5e-4))) == "silent"
    assert bad_audio(write(tmp_path / "soft.wav", voice_layouts.burst(0, 16000, peak=2e-3))) is None


def test_a_clip_that_is_cut_short_is_an_error(tmp_path):
    path = write(tmp_path / "a.wav", voice_layouts.burst(0, 16000))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(AudioError, match="cut short"):
        bad_audio(path)


def test_the_longest_run_is_that_of_a_search_by_hand():
    rng = np.random.default_rng(0)
    for density in (0.0, 0.3, 0.7, 1.0):
        flags = rng.random(101) < density
        runs = [len(list(group)) for value, group in itertools.groupby(flags) if value]
        assert _longest_run(flags) == max(runs, default=0)


@pytest.fixture
def spoilt(tmp_path):
    """A corpus where one clip of nine is silent, and two are clipped."""
    voice_layouts.write_ljspeech(tmp_path, count=9)
    wavs = sorted((tmp_path / "LJSpeech-1.1/wavs").glob("*.wav"))
    soundfile.write(wavs[2], np.zeros(997), 22050, subtype="PCM_16")
    for path in wavs[4:6]:
        soundfile.write(path, np.ones(997), 22050, subtype="PCM_16")
    return tmp_path


OPTIONS = {"num_dev": 1, "num_test": 1}


def test_bad_clips_are_named_and_counted_and_kept(spoilt, capsys):
    splits = LjSpeech.Config(**OPTIONS).build().prepare(spoilt)
    said = capsys.readouterr().err
    assert "ljspeech: 2 of 9 clips are clipped: LJ001-0005, LJ001-0006 (kept; bad_audio=leave_out" in said
    assert "ljspeech: 1 of 9 clips are silent: LJ001-0003 (kept" in said
    assert sum(map(len, splits.values())) == 9


def test_bad_clips_are_left_out_when_asked(spoilt, capsys):
    splits = LjSpeech.Config(**OPTIONS, bad_audio="leave_out").build().prepare(spoilt)
    assert "1 of 9 clips are silent: LJ001-0003 (left out)" in capsys.readouterr().err
    assert [cut.id[-1] for cuts in splits.values() for cut in cuts] == list("124789")


def test_unchecked_reads_headers_only(spoilt, capsys):
    splits = LjSpeech.Config(**OPTIONS, bad_audio="unchecked").build().prepare(spoilt)
    assert capsys.readouterr().err == ""
    assert sum(map(len, splits.values())) == 9


def test_many_bad_clips_are_counted_and_the_first_named(tmp_path, capsys):
    voice_layouts.write_ljspeech(tmp_path, count=9)
    for path in (tmp_path / "LJSpeech-1.1/wavs").glob("*.wav"):
        soundfile.write(path, np.zeros(997), 22050, subtype="PCM_16")
    LjSpeech.Config(**OPTIONS).build().prepare(tmp_path)
    assert "9 of 9 clips are silent: LJ001-0001, LJ001-0002, LJ001-0003, LJ001-0004, LJ001-0005 and 4 more" in (
        capsys.readouterr().err
    )


def cuts(tmp_path, count):
    recording = read_recording(write(tmp_path / "a.wav", voice_layouts.burst(0, 16000)), "a")
    return [make_cut(recording, "text", "me").with_id(f"{number:03d}") for number in reversed(range(count))]


def test_the_last_clips_in_the_order_of_ids_are_held_out(tmp_path):
    splits = hold_out_last(cuts(tmp_path, 11), num_dev=2, num_test=3)
    assert {name: [int(cut.id) for cut in part] for name, part in splits.items()} == {
        "train": [0, 1, 2, 3, 4, 5],
        "dev": [6, 7],
        "test": [8, 9, 10],
    }
    assert list(hold_out_last(cuts(tmp_path, 4), num_dev=0, num_test=3)) == ["train", "test"]


def test_holding_out_everything_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"expected more than 2 \+ 3 clips for dev and test, got 5"):
        hold_out_last(cuts(tmp_path, 5), num_dev=2, num_test=3)


def test_transcripts_that_cannot_be_used_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeff Two \n words\n", encoding="utf-8")
    assert read_transcript(tmp_path / "a.txt") == "Two words"
    (tmp_path / "b.txt").write_text(" \n")
    (tmp_path / "c.txt").write_bytes(b"caf\xe9")
    for name, match in (("b", "got an empty file"), ("c", "expected UTF-8, got byte 0xe9"), ("d", "got no file")):
        with pytest.raises(ValueError, match=f"{name}.txt: .*{match}"):
            read_transcript(tmp_path / f"{name}.txt")
