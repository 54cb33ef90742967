from __future__ import annotations

import shutil
import tarfile

import corpus_layouts
import pytest

from speechkit.data.corpora import download
from speechkit.data.corpora.aishell import ARCHIVE, Aishell


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aishell")
    return folder, corpus_layouts.write_aishell(folder)


@pytest.fixture
def folder(written, tmp_path):
    """A copy to damage."""
    return shutil.copytree(written[0], tmp_path / "aishell")


def prepare(folder):
    return Aishell.Config().build().prepare(folder)


def texts(cuts):
    return {cut.id: cut.supervisions[0].text for cut in cuts}


def joined(part):
    return {key: text.replace(" ", "") for key, text in part.items()}


def test_the_three_splits_are_prepared_with_words_joined(written):
    folder, expected = written
    splits = prepare(folder)
    assert {name: texts(cuts) for name, cuts in splits.items()} == {
        name: joined(part) for name, part in expected.items()
    }


def test_cuts_know_their_speaker_and_are_sorted(written):
    for cuts in prepare(written[0]).values():
        assert [cut.id for cut in cuts] == sorted(cut.id for cut in cuts)
        for cut in cuts:
            assert cut.supervisions[0].speaker == cut.id[6:11]
            assert cut.load_audio().shape == (1, cut.num_samples)


def test_the_archive_with_archives_of_speakers_is_extracted(tmp_path, monkeypatch):
    expected = corpus_layouts.write_aishell(tmp_path / "published", packed=True)
    target = tmp_path / "aishell"
    target.mkdir()
    with tarfile.open(target / "data_aishell.tgz", "w:gz") as tar:
        tar.add(tmp_path / "published/data_aishell", arcname="data_aishell")
    monkeypatch.setattr(download, "fetch", lambda archive, folder: folder / archive.filename)
    corpus = Aishell.Config().build()
    assert "not found" in corpus.missing(target)
    assert corpus.download(target) == target
    assert corpus.missing(target) is None
    assert texts(corpus.prepare(target)["train"]) == joined(expected["train"])
    assert not list(target.rglob("*gz"))


def test_the_checksum_is_the_published_one():
    """Written in OpenSLR's md5sum; a recording cannot be compared without the 15 GB that it belongs to."""
    assert ARCHIVE.checksum == "md5:2f494334227864a8a8fec932999db9d8"
    assert ARCHIVE.url.endswith("/33/data_aishell.tgz")


def test_a_recording_without_transcript_is_left_out_as_in_the_published_corpus(folder):
    path = folder / "data_aishell/transcript/aishell_transcript_v0.8.txt"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[1:]), encoding="utf-8")
    assert len(prepare(folder)["train"]) == 3


def test_a_transcript_without_its_recording_is_an_error(folder):
    next(folder.glob("data_aishell/wav/dev/S0724/*W0122.wav")).unlink()
    with pytest.raises(
        ValueError, match=r"1 of 8 transcribed recordings are missing, first BAC009S0724W0122\.wav; extract"
    ):
        prepare(folder)


def test_a_split_that_is_not_there_is_named(folder):
    shutil.rmtree(folder / "data_aishell/wav/test")
    with pytest.raises(ValueError, match=r"data_aishell/wav/test: not found; .*set SPEECHKIT_CORPORA"):
        prepare(folder)


def test_a_damaged_recording_is_named(folder):
    next(folder.glob("data_aishell/wav/train/S0003/*W0121.wav")).write_bytes(b"")
    with pytest.raises(ValueError, match=r"BAC009S0003W0121\.wav.*missing, empty or not audio"):
        prepare(folder)


@pytest.mark.parametrize("line", ["", "BAC009S0002W0999"])
def test_a_line_that_is_no_transcript_is_named(folder, line):
    path = folder / "data_aishell/transcript/aishell_transcript_v0.8.txt"
    path.write_text(f"{line}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"aishell_transcript_v0\.8\.txt:1: expected an utterance id and its words"):
        prepare(folder)
