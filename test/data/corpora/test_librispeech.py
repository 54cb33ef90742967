from __future__ import annotations

import hashlib
import shutil
import tarfile

import corpus_layouts
import pytest

from speechkit.data.corpora import download, librispeech
from speechkit.data.corpora.librispeech import LibriSpeech

EVALUATION = ("dev_clean", "dev_other", "test_clean", "test_other")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("librispeech")
    return folder, corpus_layouts.write_librispeech(folder)


@pytest.fixture
def folder(written, tmp_path):
    """A copy to damage."""
    return shutil.copytree(written[0], tmp_path / "librispeech")


def texts(cuts):
    return {cut.id: cut.supervisions[0].text for cut in cuts}


def prepare(folder, **options):
    return LibriSpeech.Config(**options).build().prepare(folder)


def test_every_part_becomes_a_split_and_the_train_parts_one(written):
    folder, expected = written
    splits = prepare(folder)
    assert list(splits) == ["train", *EVALUATION]
    for name in EVALUATION:
        assert texts(splits[name]) == expected[name.replace("_", "-")]
    train = [expected[part] for part in expected if part.startswith("train")]
    assert texts(splits["train"]) == {key: text for part in train for key, text in part.items()}


def test_cuts_know_their_speaker_and_are_sorted(written):
    for cuts in prepare(written[0]).values():
        assert [cut.id for cut in cuts] == sorted(cut.id for cut in cuts)
        for cut in cuts:
            assert cut.supervisions[0].speaker == cut.id.split("-")[0]
            assert cut.load_audio().shape == (1, cut.num_samples)


def test_one_part_of_the_training_data_is_enough(folder):
    shutil.rmtree(folder / "LibriSpeech/train-other-500")
    shutil.rmtree(folder / "LibriSpeech/train-clean-360")
    splits = prepare(folder, train_parts=("train-clean-100",))
    assert {cut.supervisions[0].speaker for cut in splits["train"]} == {"100", "101"}


def test_the_folder_may_be_librispeech_itself(written):
    assert list(prepare(written[0] / "LibriSpeech")) == ["train", *EVALUATION]


def test_a_part_that_is_not_there_is_named(folder):
    shutil.rmtree(folder / "LibriSpeech/train-other-500")
    with pytest.raises(ValueError, match=r"LibriSpeech/train-other-500: not found; .*set SPEECHKIT_CORPORA"):
        prepare(folder)


def test_a_transcript_without_its_recording_is_an_error(folder):
    next(folder.glob("LibriSpeech/dev-clean/106/*/*-0001.flac")).unlink()
    with pytest.raises(
        ValueError, match=r"dev-clean: 1 of 4 transcribed recordings are missing, first 106-1106-0001\.flac"
    ):
        prepare(folder)


def test_a_part_without_transcripts_is_an_error(folder):
    for path in folder.glob("LibriSpeech/dev-other/*/*/*.txt"):
        path.unlink()
    with pytest.raises(ValueError, match=r"dev-other: no transcripts \(\*\.trans\.txt\)"):
        prepare(folder)


def test_a_transcript_without_words_is_named_with_its_line(folder):
    path = next(folder.glob("LibriSpeech/test-clean/110/*/*.trans.txt"))
    path.write_text(path.read_text().splitlines()[0] + "\n110-1110-0001\n")
    with pytest.raises(ValueError, match=r"110-1110\.trans\.txt:2: expected an utterance id and its words"):
        prepare(folder)


def test_a_damaged_recording_is_named(folder):
    path = next(folder.glob("LibriSpeech/test-other/112/*/*-0000.flac"))
    path.write_bytes(b"no flac")
    with pytest.raises(ValueError, match=r"112-1112-0000\.flac.*missing, empty or not audio"):
        prepare(folder)


def test_what_is_missing_is_fetched_from_openslr_and_nothing_else(folder, monkeypatch):
    """The publisher's archives are stood in for by files that lie there already; their checksums are ours."""
    root = folder / "LibriSpeech"
    asked = []

    def fetch(archive, target_dir):
        asked.append(archive.url)
        return target_dir / archive.filename

    for part in ("dev-clean", "test-other"):
        with tarfile.open(folder / f"{part}.tar.gz", "w:gz") as tar:
            tar.add(root / part, arcname=f"LibriSpeech/{part}")
            tar.add(root / "SPEAKERS.TXT", arcname="LibriSpeech/SPEAKERS.TXT")
        shutil.rmtree(root / part)
    monkeypatch.setattr(download, "fetch", fetch)
    corpus = LibriSpeech.Config().build()
    assert corpus.download(folder) == folder
    assert asked == [f"https://www.openslr.org/resources/12/{part}.tar.gz" for part in ("dev-clean", "test-other")]
    assert len(corpus.prepare(folder)["dev_clean"]) == 4
    assert not list(folder.glob("*.tar.gz"))


def test_every_part_has_a_checksum():
    checksums = librispeech._CHECKSUMS
    assert set(corpus_layouts.LIBRISPEECH_PARTS) <= set(checksums)
    assert all(len(value) == len(hashlib.md5().hexdigest()) for value in checksums.values())
    assert len(set(checksums.values())) == len(checksums)
