from __future__ import annotations

import pytest
import voice_layouts

from speechkit.data.corpora.vctk import Vctk


def prepare(folder, **options):
    return Vctk.Config(**options).build().prepare(folder)


def ids(splits):
    return {name: [cut.id for cut in cuts] for name, cuts in splits.items()}


@pytest.fixture(params=["", "VCTK-Corpus-0.92"])
def corpus(request, tmp_path):
    (tmp_path / request.param).mkdir(exist_ok=True)
    return tmp_path, voice_layouts.write_vctk(tmp_path / request.param)


def test_the_last_sentences_that_only_one_speaker_reads_are_held_out(corpus):
    folder, texts = corpus
    splits = prepare(folder, num_dev=1, num_test=1)
    assert ids(splits)["test"] == ["p225_006_mic1", "p226_006_mic1", "s5_006_mic1"]
    assert ids(splits)["dev"] == ["p225_005_mic1", "p226_005_mic1", "s5_005_mic1"]
    assert len(splits["train"]) == 3 * 4
    found = {cut.id.removesuffix("_mic1"): cut.supervisions[0].text for cuts in splits.values() for cut in cuts}
    assert found == texts
    assert {cut.supervisions[0].text for cut in splits["train"]} >= {"Please call Stella."}


def test_sentences_that_all_speakers_read_are_never_held_out(corpus):
    splits = prepare(corpus[0], num_dev=9, num_test=2)
    assert {cut.id[-8:-5] for cut in splits["train"]} == {"001", "002"}


def test_both_microphones_of_a_sentence_are_in_one_split(corpus):
    splits = prepare(corpus[0], microphone="both", num_dev=1, num_test=1)
    for name, cuts in splits.items():
        heard = {(cut.id.rpartition("_")[0], cut.supervisions[0].custom["microphone"]) for cut in cuts}
        alone = {sentence for sentence, _ in heard if len([each for each, _ in heard if each == sentence]) == 1}
        assert alone == ({"p226_003"} if name == "train" else set())


def test_the_second_microphone_alone_lacks_some_clips(corpus):
    splits = prepare(corpus[0], microphone="mic2", num_dev=1, num_test=1)
    assert {cut.id[-4:] for cut in splits["train"]} == {"mic2"}
    assert len(splits["train"]) == 3 * 4 - 1


def test_speakers_can_be_held_out(corpus):
    splits = prepare(corpus[0], split="speakers", dev_speakers=("p226",), test_speakers=("s5",))
    speakers = {name: {cut.supervisions[0].speaker for cut in cuts} for name, cuts in splits.items()}
    assert speakers == {"train": {"p225"}, "dev": {"p226"}, "test": {"s5"}}
    genders = {cut.supervisions[0].speaker: cut.supervisions[0].gender for cuts in splits.values() for cut in cuts}
    assert genders == {"p225": "F", "p226": "M", "s5": "F"}


def test_speakers_that_are_not_there_are_named(corpus):
    with pytest.raises(ValueError, match="dev_speakers, test_speakers: no clips of p229, p315; take others"):
        prepare(corpus[0], split="speakers", dev_speakers=("p226", "p229"), test_speakers=("p315",))


def test_files_that_do_not_fit_are_named(corpus):
    folder = next(path for path in (corpus[0] / "VCTK-Corpus-0.92", corpus[0]) if path.is_dir())
    (folder / "txt/p225/p225_004.txt").unlink()
    with pytest.raises(ValueError, match=r"p225_004\.txt: expected a transcript, got no file"):
        prepare(corpus[0])
    (folder / "wav48_silence_trimmed/p225/p225_001_mic1.flac").rename(folder / "wav48_silence_trimmed/p225/one.flac")
    with pytest.raises(ValueError, match=r"one\.flac: expected a name like p225_001_mic1\.flac"):
        prepare(corpus[0])


def test_what_a_folder_lacks_is_said(tmp_path):
    with pytest.raises(ValueError, match="wav48_silence_trimmed: not found; run the download stage"):
        prepare(tmp_path)
