from __future__ import annotations

import corpus_layouts
import pytest

from speechkit.data.corpora.yesno import YesNo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yesno")
    corpus_layouts.write_yesno(folder)
    return folder


def ids(cuts):
    return [cut.id for cut in cuts]


def check(splits):
    """What holds for any copy of yesno."""
    assert {name: len(cuts) for name, cuts in splits.items()} == {"train": 30, "test": 30}
    assert not set(ids(splits["train"])) & set(ids(splits["test"]))
    for cuts in splits.values():
        assert ids(cuts) == sorted(ids(cuts))
        assert sum(len(cut.supervisions[0].text.split()) for cut in cuts) == 240
        for cut in cuts:
            assert cut.supervisions[0].text.split() == [{"0": "NO", "1": "YES"}[bit] for bit in cut.id.split("_")]
            assert cut.supervisions[0].speaker == "yesno"
            assert cut.sampling_rate == 8000


@pytest.mark.parametrize("split", ["halves", "alternating"])
def test_both_splits_have_thirty_recordings_of_eight_words(folder, split):
    check(YesNo.Config(split=split).build().prepare(folder))


def test_halves_are_the_first_and_the_last_thirty_names(folder):
    splits = YesNo.Config().build().prepare(folder)
    names = sorted(path.stem for path in folder.glob("waves_yesno/*.wav"))
    assert (ids(splits["train"]), ids(splits["test"])) == (names[:30], names[30:])


def test_alternating_is_every_second_name(folder):
    splits = YesNo.Config(split="alternating").build().prepare(folder)
    names = sorted(path.stem for path in folder.glob("waves_yesno/*.wav"))
    assert (ids(splits["train"]), ids(splits["test"])) == (names[::2], names[1::2])


def test_a_copy_that_is_not_whole_is_counted(tmp_path):
    corpus_layouts.write_yesno(tmp_path)
    next(tmp_path.glob("waves_yesno/*.wav")).unlink()
    with pytest.raises(ValueError, match=r"waves_yesno: expected 60 wav files, got 59; run the download stage"):
        YesNo.Config().build().prepare(tmp_path)


def test_a_file_with_another_name_is_named(tmp_path):
    corpus_layouts.write_yesno(tmp_path)
    next(tmp_path.glob("waves_yesno/*.wav")).rename(tmp_path / "waves_yesno/0_1_2.wav")
    with pytest.raises(ValueError, match=r"waves_yesno/0_1_2\.wav: expected a name like 0_1_"):
        YesNo.Config().build().prepare(tmp_path)


def test_a_damaged_recording_is_named(tmp_path):
    corpus_layouts.write_yesno(tmp_path)
    victim = sorted(tmp_path.glob("waves_yesno/*.wav"))[7]
    victim.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{victim.name}.*missing, empty or not audio"):
        YesNo.Config().build().prepare(tmp_path)


@pytest.mark.corpus
def test_the_real_recordings_are_prepared(corpora):
    splits = YesNo.Config().build().prepare(corpora / "yesno")
    check(splits)
    assert 5 * 60 < sum(cut.duration for cuts in splits.values() for cut in cuts) < 7 * 60
