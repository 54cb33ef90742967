from __future__ import annotations

import logging

import numpy as np
import pytest
import soundfile
from lhotse import CutSet

from speechkit.config import ConfigError, validate
from speechkit.data.corpora.base import (
    CORPORA_ENV,
    Corpus,
    find_or_download,
    first_missing,
    make_cut,
    read_recording,
    read_recordings,
    sorted_cuts,
)


class Letters:
    """A corpus of one file, outside of the registry; ``calls`` counts its downloads."""

    class Config:
        name = "letters"

    require = Corpus.require

    def __init__(self, arrives="letters.txt"):
        self.config, self.arrives, self.calls = self.Config(), arrives, 0

    def missing(self, corpus_dir):
        return first_missing([corpus_dir / "letters.txt"])

    def download(self, target_dir):
        self.calls += 1
        target_dir.mkdir(parents=True)
        (target_dir / self.arrives).touch()
        return target_dir


@pytest.fixture
def shared(tmp_path, monkeypatch):
    monkeypatch.setenv(CORPORA_ENV, str(tmp_path / "shared"))
    folder = tmp_path / "shared/letters"
    folder.mkdir(parents=True)
    return folder


def test_a_complete_shared_copy_is_used_before_anything_else(shared, tmp_path):
    (shared / "letters.txt").touch()
    corpus = Letters()
    assert find_or_download(corpus, tmp_path / "downloads") == shared
    assert corpus.calls == 0
    assert not (tmp_path / "downloads").exists()


def test_an_incomplete_shared_copy_is_named_and_left_alone(shared, tmp_path, caplog):
    corpus = Letters()
    with caplog.at_level(logging.WARNING):
        assert find_or_download(corpus, tmp_path / "downloads") == tmp_path / "downloads"
    assert f"{shared / 'letters.txt'}: not found" in caplog.text
    assert corpus.calls == 1
    assert list(shared.iterdir()) == []


def test_what_has_been_downloaded_is_not_downloaded_again(tmp_path, monkeypatch):
    monkeypatch.delenv(CORPORA_ENV, raising=False)
    corpus = Letters()
    for _ in range(2):
        assert find_or_download(corpus, tmp_path / "downloads") == tmp_path / "downloads"
    assert corpus.calls == 1


def test_the_folder_that_is_returned_is_absolute(tmp_path, monkeypatch):
    monkeypatch.delenv(CORPORA_ENV, raising=False)
    monkeypatch.chdir(tmp_path)
    corpus = Letters()
    assert find_or_download(corpus, tmp_path.relative_to(tmp_path) / "downloads") == tmp_path / "downloads"


def test_a_download_that_brings_the_wrong_files_is_an_error_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.delenv(CORPORA_ENV, raising=False)
    with pytest.raises(
        ValueError, match=rf"letters\.txt: not found; .*<folder>/letters and set {CORPORA_ENV}=<folder>"
    ):
        find_or_download(Letters(arrives="numbers.txt"), tmp_path / "downloads")


def test_a_variable_that_names_no_folder_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv(CORPORA_ENV, str(tmp_path / "typo"))
    with pytest.raises(ValueError, match=rf"{CORPORA_ENV}=.*typo: expected a folder"):
        find_or_download(Letters(), tmp_path)


NAMES = ("aishell", "common_voice", "folder", "fsdd", "librispeech", "mini", "mini_librispeech", "yesno")


def test_every_corpus_is_registered_by_importing_the_package():
    import speechkit.data.corpora  # noqa: F401

    assert set(NAMES) <= set(Corpus.registry)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_does_not_exist_is_named_with_a_remedy(name, tmp_path):
    corpus = validate(Corpus.registry[name].Config, {"name": name}).build()
    with pytest.raises(ValueError, match=rf"{tmp_path}/nowhere.*; .+"):
        corpus.prepare(tmp_path / "nowhere")


def test_a_wrong_option_is_a_config_error():
    with pytest.raises(ConfigError, match="split"):
        validate(Corpus.registry["fsdd"].Config, {"name": "fsdd", "split": "oficial"})


def test_a_cut_has_one_supervision_and_one_id(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(4321, np.float32), 8000)
    cut = make_cut(read_recording(tmp_path / "x.wav", "x"), "some words", "anna", language="en")
    [supervision] = cut.supervisions
    assert (cut.id, supervision.id, cut.recording.id) == ("x", "x", "x")
    assert (supervision.text, supervision.speaker, supervision.language) == ("some words", "anna", "en")
    assert cut.duration == supervision.duration == 4321 / 8000
    assert cut.load_audio().shape == (1, 4321)


def test_the_second_channel_of_stereo_is_left_out_and_both_are_described(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.stack([np.full(70, 0.5), np.full(70, -0.5)], 1), 8000)
    recording = read_recording(tmp_path / "x.wav", "x")
    assert recording.num_channels == 2
    np.testing.assert_allclose(make_cut(recording, "", "anna").load_audio(), 0.5, atol=1e-4)


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"not audio at all"])
def test_a_file_that_is_no_audio_is_named_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(ValueError, match=rf"{tmp_path}/bad\.wav.*missing, empty or not audio") as error:
        read_recordings({"bad": tmp_path / "bad.wav"})
    assert len(str(error.value).splitlines()) == 1


def test_a_file_without_samples_is_named(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.zeros(0), 8000)
    with pytest.raises(ValueError, match=r"short\.wav: expected audio, got no samples"):
        read_recording(tmp_path / "short.wav", "short")


def test_recordings_come_in_the_order_asked_for(tmp_path):
    paths = {name: tmp_path / f"{name}.wav" for name in "dacb"}
    for number, path in enumerate(paths.values(), 1):
        soundfile.write(path, np.zeros(100 * number), 8000)
    assert [(r.id, r.num_samples) for r in read_recordings(paths)] == [("d", 100), ("a", 200), ("c", 300), ("b", 400)]


def test_cuts_are_sorted_by_id(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(70), 8000)
    cuts = sorted_cuts(make_cut(read_recording(tmp_path / "x.wav", name), "t", "s") for name in ("b", "c", "a"))
    assert isinstance(cuts, CutSet)
    assert [cut.id for cut in cuts] == ["a", "b", "c"]
