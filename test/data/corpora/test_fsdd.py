from __future__ import annotations

import collections
from pathlib import Path

import corpus_layouts
import numpy as np
import pytest
from lhotse import CutSet
from lhotse.qa import validate_cut

from speechkit.config import ConfigError, validate
from speechkit.data.audio import load_audio
from speechkit.data.corpora.fsdd import WORDS, Fsdd

SPEAKERS = {"george", "jackson", "lucas", "nicolas", "theo", "yweweler"}
STRINGS = {"connected": True, "num_train_strings": 23, "num_dev_strings": 7, "num_test_strings": 11}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fsdd")
    corpus_layouts.write_fsdd(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def prepare(folder, **options):
    return Fsdd.Config(**options).build().prepare(folder)


@pytest.fixture(scope="module")
def official(folder):
    return prepare(folder)


@pytest.fixture(scope="module")
def strings(folder):
    """Strings of the official split."""
    return prepare(folder, **STRINGS)


def sizes(splits):
    return {name: len(cuts) for name, cuts in splits.items()}


def take(cut):
    return int(cut.id.rsplit("_", 1)[1])


def check_official(splits):
    assert sizes(splits) == {"train": 2580, "dev": 120, "test": 300}
    assert {take(cut) for cut in splits["test"]} == set(range(5))
    assert {take(cut) for cut in splits["dev"]} == {5, 6}
    assert {take(cut) for cut in splits["train"]} == set(range(7, 50))
    for cuts in splits.values():
        counts = collections.Counter((cut.supervisions[0].speaker, cut.supervisions[0].text) for cut in cuts)
        assert len(counts) == 60
        assert len(set(counts.values())) == 1  # every digit of every speaker as often as any other


def test_the_official_split_tests_on_the_first_five_takes(official):
    check_official(official)


def test_the_text_is_the_digit_of_the_file_name(official):
    for cut in official["test"]:
        digit, speaker, _ = cut.id.split("_")
        assert (cut.supervisions[0].text, cut.supervisions[0].speaker) == (WORDS[int(digit)], speaker)


def test_without_dev_takes_all_of_them_train(folder):
    assert sizes(prepare(folder, num_dev_takes=0)) == {"train": 2700, "test": 300}


def test_a_held_out_speaker_is_heard_in_the_test_only(folder):
    splits = prepare(folder, split="leave_one_out", held_out="lucas")
    speakers = {name: {cut.supervisions[0].speaker for cut in cuts} for name, cuts in splits.items()}
    assert speakers == {"train": SPEAKERS - {"lucas"}, "dev": SPEAKERS - {"lucas"}, "test": {"lucas"}}
    assert sizes(splits) == {"train": 2400, "dev": 100, "test": 500}
    assert not {cut.id for cut in splits["train"]} & {cut.id for cut in splits["dev"]}


# --- strings of digits


def digits(string):
    """The tracks of a string that hold clips, in order."""
    return [track for track in string.tracks if track.snr is None]


def noises(string):
    """The tracks of a string that hold noise, in order."""
    return [track for track in string.tracks if track.snr is not None]


def test_strings_hold_clips_of_their_own_split_only(official, strings):
    for name, cuts in strings.items():
        used = {track.cut.id for string in cuts for track in digits(string)}
        assert len(used) > 15
        assert used <= {cut.id for cut in official[name]}


def test_strings_of_a_held_out_speaker_hold_clips_of_this_speaker_only(folder):
    splits = prepare(folder, split="leave_one_out", held_out="theo", **STRINGS)
    speakers = {
        name: {track.cut.id.split("_")[1] for string in cuts for track in digits(string)}
        for name, cuts in splits.items()
    }
    assert speakers["test"] == {"theo"}
    assert "theo" not in speakers["train"] | speakers["dev"]


def test_as_many_strings_are_made_as_asked_for(strings):
    assert sizes(strings) == {"train": 23, "dev": 7, "test": 11}
    ids = [cut.id for cuts in strings.values() for cut in cuts]
    assert len(set(ids)) == len(ids)


def test_a_string_has_one_supervision_from_the_first_digit_to_the_last(strings):
    for string in [cut for cuts in strings.values() for cut in cuts]:
        validate_cut(string)
        tracks = digits(string)
        names = [track.cut.recording.id.split("_") for track in tracks]
        assert 3 <= len(tracks) <= 7
        [supervision] = string.supervisions
        assert supervision.id == string.id
        assert supervision.text == " ".join(WORDS[int(digit)] for digit, _, _ in names)
        assert {speaker for _, speaker, _ in names} == {supervision.speaker}
        assert supervision.start == tracks[0].offset
        assert supervision.end == pytest.approx(tracks[-1].offset + tracks[-1].cut.duration, abs=1e-6)


def test_digits_follow_each_other_with_pauses_of_the_config(strings):
    pauses = []
    for string in [cut for cuts in strings.values() for cut in cuts]:
        tracks = digits(string)
        starts = [track.offset for track in tracks] + [string.duration]
        ends = [0.0] + [track.offset + track.cut.duration for track in tracks]
        pauses += [start - end for start, end in zip(starts, ends, strict=True)]
    assert min(pauses) >= -1e-3
    assert max(pauses) <= 0.4 + 1e-3
    assert np.mean(pauses) == pytest.approx(0.2, abs=0.05)


def test_strings_survive_a_manifest_on_the_disk(strings, tmp_path):
    strings["test"].to_file(tmp_path / "test.jsonl.gz")
    for string, copy in zip(strings["test"], CutSet.from_file(tmp_path / "test.jsonl.gz"), strict=True):
        assert copy == string
        np.testing.assert_array_equal(copy.load_audio(), string.load_audio())
        assert len(load_audio(copy, 8000)) == string.num_samples


def test_a_string_is_its_clips_and_its_noise_added_up(strings):
    for string in strings["test"]:
        heard = string.load_audio()[0].astype(np.float64)
        for track in digits(string):
            start, clip = round(track.offset * 8000), track.cut.load_audio()[0]
            heard[start : start + len(clip)] -= clip
        first = digits(string)[0].cut.load_audio()
        snr = 10 * np.log10(np.mean(first**2) / np.mean(heard**2))
        assert snr == pytest.approx(noises(string)[0].snr, abs=1.5)  # the recording's level, not this piece's
        assert 10 <= noises(string)[0].snr <= 30


def test_long_strings_are_covered_with_noise_to_their_end(folder):
    splits = prepare(folder, **STRINGS, max_pause=6.0)
    longest = max((cut for cuts in splits.values() for cut in cuts), key=lambda cut: cut.duration)
    assert longest.duration > 20
    end = 0.0
    for track in noises(longest):
        assert track.offset == pytest.approx(end, abs=1e-6)
        end = track.offset + track.cut.duration
    assert end == pytest.approx(longest.duration, abs=1e-3)
    assert longest.load_audio().shape == (1, longest.num_samples)


def test_strings_follow_from_the_seed_and_not_from_the_size_of_another_split(folder, strings):
    again = prepare(folder, **{**STRINGS, "num_train_strings": 5})
    assert list(again["test"]) == list(strings["test"])
    assert list(again["train"]) == list(strings["train"])[:5]
    other = prepare(folder, **STRINGS, seed=2)
    assert [cut.supervisions[0].text for cut in other["test"]] != [cut.supervisions[0].text for cut in again["test"]]


def test_noise_recordings_are_written_once_and_outside_of_the_corpus(folder, strings, cache):
    def times(folder):
        return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    assert not [path for path in folder.rglob("*") if "babble" in path.name]
    written = times(cache / "speechkit/noise")
    assert len(written) == 27
    prepare(folder, **STRINGS)
    assert times(cache / "speechkit/noise") == written


def test_noise_recordings_go_where_the_config_says(folder, tmp_path, strings):
    elsewhere = prepare(folder, **STRINGS, noise_dir=str(tmp_path / "noise"))
    for string, same in zip(elsewhere["test"], strings["test"], strict=True):
        assert {Path(track.cut.recording.sources[0].source).parent for track in noises(string)} == {tmp_path / "noise"}
        np.testing.assert_array_equal(string.load_audio(), same.load_audio())


def test_test_strings_have_noise_that_training_does_not_know(strings):
    heard = {name: {noises(string)[0].cut.recording.id for string in cuts} for name, cuts in strings.items()}
    assert not heard["train"] & heard["test"]


# --- bad input


def test_a_copy_that_is_not_whole_is_counted(tmp_path):
    (tmp_path / "recordings").mkdir()
    with pytest.raises(ValueError, match=r"recordings: expected the 3000 wav files of FSDD v1\.0\.10, got 0; run the"):
        prepare(tmp_path)


def test_a_file_with_another_name_is_named(tmp_path):
    corpus_layouts.write_fsdd(tmp_path)
    (tmp_path / "recordings/7_theo_12.wav").rename(tmp_path / "recordings/0_seven_theo.wav")
    with pytest.raises(ValueError, match=r"0_seven_theo\.wav: expected a name like 7_theo_12\.wav"):
        prepare(tmp_path)


def test_an_unknown_speaker_is_a_config_error():
    with pytest.raises(ConfigError, match="held_out"):
        validate(Fsdd.Config, {"name": "fsdd", "held_out": "leo"})


@pytest.mark.corpus
def test_the_real_recordings_are_prepared(corpora):
    splits = prepare(corpora / "fsdd")
    check_official(splits)
    assert 18 * 60 < sum(cut.duration for cuts in splits.values() for cut in cuts) < 26 * 60


@pytest.mark.corpus
def test_the_real_recordings_make_strings(corpora):
    splits = prepare(corpora / "fsdd", **STRINGS)
    for string in splits["test"]:
        audio = load_audio(string, 8000)
        assert len(audio) == string.num_samples
        assert 0.001 < np.abs(audio).max() < 2
