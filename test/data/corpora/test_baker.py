from __future__ import annotations

import pytest
import voice_layouts

from speechkit.data.corpora.baker import Baker
from speechkit.data.corpora.base import find_or_download


def prepare(folder, **options):
    return Baker.Config(**{"num_dev": 1, "num_test": 1, **options}).build().prepare(folder)


@pytest.fixture
def corpus(tmp_path):
    return tmp_path, voice_layouts.write_baker(tmp_path)


def test_texts_have_no_prosody_marks_and_pinyin_is_kept(corpus):
    folder, expected = corpus
    splits = prepare(folder)
    assert {name: [cut.id for cut in cuts] for name, cuts in splits.items()} == {
        "train": ["000001", "000002"],
        "dev": ["000003"],
        "test": ["000004"],
    }
    supervisions = {cut.id: cut.supervisions[0] for cuts in splits.values() for cut in cuts}
    assert {name: each.text for name, each in supervisions.items()} == expected
    first = supervisions["000001"]
    assert first.text == "卡尔普陪外孙玩滑梯。"
    assert first.custom == {"pinyin": "ka2 er2 pu3 pei2 wai4 sun1 wan2 hua2 ti1", "prosody": "卡尔普#2陪外孙#1玩滑梯#4。"}
    assert (first.speaker, first.language) == ("baker", "zh")


def test_custom_fields_survive_a_manifest_on_the_disk(corpus, tmp_path):
    cuts = prepare(corpus[0])["train"]
    cuts.to_file(tmp_path / "train.jsonl.gz")
    again = type(cuts).from_file(tmp_path / "train.jsonl.gz")
    assert [cut.supervisions[0].pinyin for cut in again] == list(voice_layouts.BAKER.values())[:2]


@pytest.mark.parametrize(
    ("before", "after", "line"), [("\tjia2", "\t假", 3), ("000002\t", "2\t", 3), ("\thuar1 kai1 le5\n", "", 7)]
)
def test_a_line_that_is_not_as_published_is_named(corpus, before, after, line):
    labels = corpus[0] / "BZNSYP/ProsodyLabeling/000001-010000.txt"
    labels.write_text(labels.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"000001-010000\.txt:{line}: expected a line like 000001<tab>text"):
        prepare(corpus[0])


def test_a_missing_recording_is_named(corpus):
    (corpus[0] / "BZNSYP/Wave/000002.wav").unlink()
    with pytest.raises(ValueError, match=r"1 of 4 transcribed recordings are missing, first 000002\.wav"):
        prepare(corpus[0])


def test_the_download_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("SPEECHKIT_CORPORA", raising=False)
    with pytest.raises(ValueError, match=r"000001-010000\.txt: not found; .*data-baker\.com.*set SPEECHKIT_CORPORA"):
        find_or_download(Baker.Config().build(), tmp_path)
