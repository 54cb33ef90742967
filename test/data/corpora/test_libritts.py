from __future__ import annotations

import pytest
import voice_layouts

from speechkit.data.corpora.libritts import LibriTts

PARTS = ("train-clean-100", "train-clean-360", "dev-clean", "test-other")
OPTIONS = {"train_parts": PARTS[:2], "evaluation_parts": PARTS[2:]}


def prepare(folder, **options):
    return LibriTts.Config(**{**OPTIONS, **options}).build().prepare(folder)


@pytest.fixture
def corpus(tmp_path):
    return tmp_path, voice_layouts.write_libritts(tmp_path, PARTS)


def test_the_parts_are_prepared_with_their_normalized_texts(corpus):
    folder, expected = corpus
    splits = prepare(folder)
    assert {name: len(cuts) for name, cuts in splits.items()} == {"train": 4, "dev_clean": 2, "test_other": 2}
    found = {cut.id: cut.supervisions[0].text for cuts in splits.values() for cut in cuts}
    assert found == expected
    cut = splits["dev_clean"][0]
    assert (cut.sampling_rate, cut.supervisions[0].speaker, cut.supervisions[0].gender) == (24000, "86", "F")


def test_texts_as_printed_are_an_option(corpus):
    texts = {cut.supervisions[0].text for cut in prepare(corpus[0], text="original")["test_other"]}
    assert texts == {"Chapter 1, of test-other.", "Chapter two, of test-other."}


def test_a_recording_that_is_missing_and_a_part_without_texts_are_named(corpus):
    folder = corpus[0] / "LibriTTS/dev-clean"
    next(folder.glob("*/*/86*.wav")).unlink()
    with pytest.raises(ValueError, match=r"dev-clean: 1 of 2 transcribed recordings are missing, first 86_.*\.wav"):
        prepare(corpus[0])
    for path in folder.glob("*/*/86*.txt"):
        path.unlink()
    with pytest.raises(ValueError, match=r"dev-clean: no transcripts \(\*\.normalized\.txt\)"):
        prepare(corpus[0])


def test_what_a_folder_lacks_is_said(corpus):
    with pytest.raises(ValueError, match="train-other-500: not found; run the download stage"):
        prepare(corpus[0], train_parts=("train-other-500",))


def test_clips_of_known_speakers_can_be_held_out(tmp_path):
    voice_layouts.write_libritts(tmp_path, PARTS[:2], clips=4)
    splits = prepare(tmp_path, split="utterances")
    assert {name: [cut.id.split("_")[0] + cut.id[-1] for cut in cuts] for name, cuts in splits.items()} == {
        "train": ["840", "841", "850", "851"],
        "dev": ["842", "852"],
        "test": ["843", "853"],
    }
    few = prepare(tmp_path, split="utterances", num_held_out=1)
    assert [cut.id[-1] for cut in few["test"]] == ["3"] and len(few["train"]) == 6


def test_speakers_of_two_clips_are_only_learned(tmp_path):
    voice_layouts.write_libritts(tmp_path, PARTS[:2])
    assert {name: len(cuts) for name, cuts in prepare(tmp_path, split="utterances").items()} == {"train": 4}
