from __future__ import annotations

import corpus_layouts
import pytest

from speechkit.data.audio import load_audio
from speechkit.data.corpora.base import find_or_download
from speechkit.data.corpora.common_voice import CommonVoice


def prepare(folder, **options):
    return CommonVoice.Config(**options).build().prepare(folder)


def texts(cuts):
    return {cut.id: cut.supervisions[0].text for cut in cuts}


@pytest.mark.parametrize("release", [None, "cv-corpus-17.0-2024-03-15"])
def test_the_published_splits_are_prepared(tmp_path, release):
    expected = corpus_layouts.write_common_voice(tmp_path, release=release)
    splits = prepare(tmp_path)
    assert list(splits) == ["train", "dev", "test"]
    assert {name: texts(cuts) for name, cuts in splits.items()} == {name: expected[name] for name in splits}


def test_mp3_is_as_long_as_its_cut_says(tmp_path):
    corpus_layouts.write_common_voice(tmp_path, num_clips=3)
    for cut in prepare(tmp_path)["train"]:
        assert cut.recording.sources[0].source.endswith(".mp3")
        assert cut.sampling_rate == 32000
        assert len(load_audio(cut, 16000)) == pytest.approx(cut.duration * 16000, abs=1)


def test_a_clip_belongs_to_its_client(tmp_path):
    corpus_layouts.write_common_voice(tmp_path)
    for cut in prepare(tmp_path)["dev"]:
        assert cut.supervisions[0].speaker == f"client{cut.id[-3:]}"
        assert cut.supervisions[0].language == "en"


def test_the_language_picks_the_folder(tmp_path):
    corpus_layouts.write_common_voice(tmp_path, "en")
    expected = corpus_layouts.write_common_voice(tmp_path, "zh-CN")
    assert texts(prepare(tmp_path, language="zh-CN")["train"]) == expected["train"]


def test_a_copy_with_validated_clips_only_has_this_one_split(tmp_path):
    expected = corpus_layouts.write_common_voice(tmp_path, tables=["validated"])
    splits = prepare(tmp_path)
    assert {name: texts(cuts) for name, cuts in splits.items()} == expected


def test_other_tables_are_read_when_asked_for(tmp_path):
    corpus_layouts.write_common_voice(tmp_path)
    assert list(prepare(tmp_path, splits=("validated", "test"))) == ["validated", "test"]


def test_a_table_that_is_not_there_is_named_beside_those_that_are(tmp_path):
    corpus_layouts.write_common_voice(tmp_path, tables=["test", "dev"])
    with pytest.raises(ValueError, match=r"en/train\.tsv: not found; tables there: dev\.tsv, test\.tsv; "):
        prepare(tmp_path, splits=("train", "test"))


def test_a_folder_without_tables_is_an_error(tmp_path):
    corpus_layouts.write_common_voice(tmp_path, tables=[])
    with pytest.raises(ValueError, match=r"en/train\.tsv: not found, nor dev, test or validated"):
        prepare(tmp_path)


def test_two_releases_side_by_side_are_an_error(tmp_path):
    for release in ("cv-corpus-16.0", "cv-corpus-17.0"):
        corpus_layouts.write_common_voice(tmp_path, release=release)
    with pytest.raises(ValueError, match=r"expected one release with 'en', got cv-corpus-16\.0, cv-corpus-17\.0"):
        prepare(tmp_path)


def test_a_missing_clip_is_an_error(tmp_path):
    corpus_layouts.write_common_voice(tmp_path)
    (tmp_path / "en/clips/common_voice_en_103.mp3").unlink()
    with pytest.raises(ValueError, match=r"common_voice_en_103\.mp3.*missing, empty or not audio"):
        prepare(tmp_path)


def test_a_table_without_the_columns_is_named_with_its_line(tmp_path):
    corpus_layouts.write_common_voice(tmp_path)
    table = tmp_path / "en/train.tsv"
    table.write_text(table.read_text().replace("\tsentence\t", "\ttext\t"))
    with pytest.raises(ValueError, match=r"train\.tsv:2: expected columns client_id, path, sentence"):
        prepare(tmp_path)


def test_a_clip_that_is_there_twice_is_named_with_its_line(tmp_path):
    corpus_layouts.write_common_voice(tmp_path)
    table = tmp_path / "en/test.tsv"
    table.write_text(table.read_text() + table.read_text().splitlines()[1] + "\n")
    with pytest.raises(ValueError, match=r"test\.tsv:4: common_voice_en_102\.mp3 is there twice"):
        prepare(tmp_path)


def test_quotes_in_a_sentence_are_part_of_it(tmp_path):
    corpus_layouts.write_common_voice(tmp_path)
    table = tmp_path / "en/test.tsv"
    sentence = '"Quoted at the start only'
    cells = table.read_text().splitlines()[1].split("\t")
    table.write_text(table.read_text().replace(cells[3], sentence))
    assert prepare(tmp_path)["test"]["common_voice_en_102"].supervisions[0].text == sentence


def test_the_download_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("SPEECHKIT_CORPORA", raising=False)
    with pytest.raises(ValueError, match=r"de/clips: not found; .*commonvoice\.mozilla\.org.*set SPEECHKIT_CORPORA"):
        find_or_download(CommonVoice.Config(language="de").build(), tmp_path)


@pytest.mark.corpus
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_real_recordings_are_prepared(corpora, language):
    splits = prepare(corpora / "common_voice", language=language)
    assert {name: len(cuts) for name, cuts in splits.items()} == {"validated": 100}
    for cut in list(splits["validated"])[:7]:
        assert len(load_audio(cut, 16000)) == pytest.approx(cut.duration * 16000, abs=1)
