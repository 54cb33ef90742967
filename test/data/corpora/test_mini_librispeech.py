from __future__ import annotations

import shutil

import corpus_layouts
import pytest

from speechkit.data.corpora.mini_librispeech import HELD_OUT, MiniLibriSpeech


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini_librispeech")
    return folder, corpus_layouts.write_mini_librispeech(folder)


def prepare(folder, split):
    return MiniLibriSpeech.Config(split=split).build().prepare(folder)


def texts(cuts):
    return {cut.id: cut.supervisions[0].text for cut in cuts}


def speakers(cuts):
    return {cut.supervisions[0].speaker for cut in cuts}


def test_the_official_split_has_the_published_parts(written):
    folder, expected = written
    splits = prepare(folder, "official")
    assert texts(splits["train"]) == expected["train-clean-5"]
    assert texts(splits["dev"]) == texts(splits["test"]) == expected["dev-clean-2"]


def test_held_out_speakers_are_heard_in_one_split_only(written):
    splits = prepare(written[0], "held_out_speakers")
    assert speakers(splits["test"]) == {"1898", "2136", "3242", "3947"}
    assert speakers(splits["dev"]) == {"669", "5789", "7312"}
    assert len(speakers(splits["train"])) == 17
    assert not speakers(splits["train"]) & (speakers(splits["dev"]) | speakers(splits["test"]))
    assert "5000" not in speakers(splits["train"])  # of train-clean-5, but of no split


def test_held_out_speakers_need_no_other_part(written, tmp_path):
    folder = shutil.copytree(written[0], tmp_path / "mini_librispeech")
    shutil.rmtree(folder / "LibriSpeech/dev-clean-2")
    assert list(prepare(folder, "held_out_speakers")) == ["train", "dev", "test"]
    with pytest.raises(ValueError, match=r"LibriSpeech/dev-clean-2: not found; .*set SPEECHKIT_CORPORA"):
        prepare(folder, "official")


def test_a_speaker_that_is_not_there_is_named(written, tmp_path):
    folder = shutil.copytree(written[0], tmp_path / "mini_librispeech")
    shutil.rmtree(folder / "LibriSpeech/train-clean-5/332")
    with pytest.raises(ValueError, match=r"train-clean-5/332: not found"):
        prepare(folder, "held_out_speakers")


@pytest.mark.corpus
def test_the_real_recordings_are_prepared(corpora):
    splits = prepare(corpora / "mini_librispeech", "held_out_speakers")
    assert {name: speakers(cuts) for name, cuts in splits.items()} == {
        name: set(names) for name, names in HELD_OUT.items()
    }
    assert {name: len(cuts) for name, cuts in splits.items()} == {"train": 1071, "dev": 95, "test": 189}
    assert sum(cut.duration for cuts in splits.values() for cut in cuts) == pytest.approx(4.70 * 3600, rel=0.01)
