from __future__ import annotations

import pytest
import voice_layouts

from speechkit.data.audio import load_audio
from speechkit.data.corpora.ljspeech import LjSpeech


def prepare(folder, **options):
    return LjSpeech.Config(**options).build().prepare(folder)


def texts(splits):
    return {cut.id: cut.supervisions[0].text for cuts in splits.values() for cut in cuts}


def test_normalized_texts_are_prepared_and_the_last_clips_held_out(tmp_path):
    expected = voice_layouts.write_ljspeech(tmp_path)
    splits = prepare(tmp_path, num_dev=2, num_test=1)
    assert texts(splits) == expected
    assert {name: [cut.id[-1] for cut in cuts] for name, cuts in splits.items()} == {
        "train": list("1234"),
        "dev": list("56"),
        "test": list("7"),
    }
    cut = splits["train"][0]
    assert (cut.sampling_rate, cut.supervisions[0].speaker, cut.supervisions[0].language) == (22050, "ljspeech", "en")


def test_original_texts_and_a_smaller_training_set_are_options(tmp_path):
    voice_layouts.write_ljspeech(tmp_path)
    splits = prepare(tmp_path, text="original", num_dev=1, num_test=1, num_train=2)
    assert texts(splits)["LJ001-0001"] == "Sentence number 1."
    assert {name: len(cuts) for name, cuts in splits.items()} == {"train": 2, "dev": 1, "test": 1}


def test_quotes_are_part_of_a_text(tmp_path):
    voice_layouts.write_ljspeech(tmp_path)
    table = tmp_path / "LJSpeech-1.1/metadata.csv"
    table.write_text(table.read_text().replace("|Sentence number 3.", '|"Quoted at the start only'))
    assert texts(prepare(tmp_path, num_dev=1, num_test=1))["LJ001-0003"] == '"Quoted at the start only'


@pytest.mark.parametrize(
    ("before", "after"), [("LJ001-0003|Sentence number 3.|", "LJ001-0003|"), ("|Sentence number 3.\n", "|\n")]
)
def test_a_line_that_is_not_complete_is_named(tmp_path, before, after):
    voice_layouts.write_ljspeech(tmp_path)
    table = tmp_path / "LJSpeech-1.1/metadata.csv"
    table.write_text(table.read_text().replace(before, after, 1))
    with pytest.raises(ValueError, match=r"metadata\.csv:3: expected an id, a transcript and a normalized transcript"):
        prepare(tmp_path)


def test_a_clip_that_is_missing_and_one_that_is_there_twice_are_named(tmp_path):
    voice_layouts.write_ljspeech(tmp_path)
    (tmp_path / "LJSpeech-1.1/wavs/LJ001-0004.wav").unlink()
    with pytest.raises(ValueError, match=r"1 of 7 transcribed recordings are missing, first LJ001-0004\.wav"):
        prepare(tmp_path)
    table = tmp_path / "LJSpeech-1.1/metadata.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[1] + "\n")
    with pytest.raises(ValueError, match=r"metadata\.csv:8: LJ001-0002 is there twice"):
        prepare(tmp_path)


def test_what_a_folder_lacks_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"LJSpeech-1\.1/metadata\.csv: not found; run the download stage"):
        prepare(tmp_path)


@pytest.mark.corpus
def test_the_real_recordings_are_prepared(corpora, capsys):
    splits = prepare(corpora / "ljspeech")
    cuts = [cut for part in splits.values() for cut in part]
    assert [cut.id for cut in cuts] == sorted(cut.id for cut in cuts)
    assert (len(splits["dev"]), len(splits["test"])) == (20, 20) and len(cuts) >= 385
    assert all(1 < cut.duration < 10.2 for cut in cuts)
    assert not any(any(char.isdigit() for char in cut.supervisions[0].text) for cut in cuts)
    assert len(load_audio(cuts[0], 22050)) == cuts[0].num_samples
    assert "silent" not in capsys.readouterr().err
