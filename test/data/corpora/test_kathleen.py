from __future__ import annotations

import re

import pytest
import voice_layouts

from speechkit.data.corpora.kathleen import Kathleen


def prepare(folder, **options):
    return Kathleen.Config(**options).build().prepare(folder)


def prompts(cuts):
    return {" ".join(re.findall(r"\w+", cut.supervisions[0].text.lower())) for cut in cuts}


@pytest.fixture
def folder(tmp_path):
    voice_layouts.write_kathleen(tmp_path)
    return tmp_path


def test_all_takes_of_a_prompt_are_in_one_split(folder):
    splits = prepare(folder, num_dev=2, num_test=1)
    assert {name: prompts(cuts) for name, cuts in splits.items()} == {
        "train": {"prompt number 1", "prompt number 2", "prompt number 3"},
        "dev": {"prompt number 4", "prompt number 5"},
        "test": {"prompt number 6"},
    }


def test_train_has_all_takes_and_the_others_have_the_last_one(folder):
    splits = prepare(folder, num_dev=2, num_test=1)
    takes = [cut.id for cut in splits["train"]]
    assert takes == sorted(takes) and len(takes) == 2 + 3 + 1 + 2  # the last prompt has the words of the first
    assert [cut.id for cut in splits["dev"]] == ["arctic_a0004_1592700010", "arctic_b0005_1592700020"]
    assert [cut.id for cut in splits["test"]] == ["arctic_b0006_1592700000"]


def test_train_can_have_one_take_of_each_prompt(folder):
    splits = prepare(folder, num_dev=2, num_test=1, all_takes=False)
    assert len(splits["train"]) == len(prompts(splits["train"])) == 3


def test_holding_out_all_prompts_is_an_error(folder):
    with pytest.raises(ValueError, match="expected more than 6 prompts, got 6"):
        prepare(folder, num_dev=3, num_test=3)


def test_files_that_do_not_fit_are_named(folder):
    (folder / "data/arctic_a0003_1592700000.txt").rename(folder / "data/c.txt")
    with pytest.raises(ValueError, match=r"1 of 14 transcribed recordings are missing, first c\.wav"):
        prepare(folder)
    (folder / "data/c.txt").unlink()
    with pytest.raises(ValueError, match=r"arctic_a0003_1592700000\.txt: expected a transcript, got no file"):
        prepare(folder)
    (folder / "data/arctic_a0003_1592700000.txt").write_text("Prompt number 3.")
    for suffix in (".txt", ".wav"):
        (folder / f"data/arctic_a0001_1592700000{suffix}").rename(folder / f"data/first{suffix}")
    with pytest.raises(ValueError, match=r"first\.wav: expected a name like arctic_a0001_1592748574\.wav"):
        prepare(folder)


def test_what_a_folder_lacks_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"data: not found, or without arctic_\*\.wav; run the download stage"):
        prepare(tmp_path)


@pytest.mark.corpus
def test_no_prompt_of_the_real_recordings_is_in_two_splits(corpora):
    splits = prepare(corpora / "kathleen", bad_audio="unchecked")
    said = {name: prompts(cuts) for name, cuts in splits.items()}
    assert not said["train"] & said["dev"] and not said["train"] & said["test"] and not said["dev"] & said["test"]
    assert (len(splits["dev"]), len(splits["test"])) == (20, 20) and len(splits["train"]) > 1500
