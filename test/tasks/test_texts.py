from __future__ import annotations

import pytest
import tiny
from lm_text import write_texts

from speechkit.tasks.base import load_config
from speechkit.tasks.lm import get_tokenizer
from speechkit.tasks.texts import text_facts, text_path, tokenized


@pytest.fixture
def folder(tmp_path):
    write_texts(tmp_path)
    return tmp_path


def config(folder, *overrides):
    return load_config(folder / "lm.yaml", overrides)


def tokenizer_dir(folder, config):
    get_tokenizer(config).save(folder / "tokenizer")
    return folder / "tokenizer"


def test_a_text_is_a_split_a_manifest_or_a_text_file(folder):
    chosen = config(folder, "corpus=yesno")
    assert text_path("train", chosen) == folder / "yesno" / "train.jsonl.gz"
    for name in ("lists/a.jsonl", "a.jsonl.gz", "a.txt", "a.txt.gz", "books.gz"):
        assert str(text_path(name, chosen)) == name


def test_fingerprints_are_of_the_sentences_not_of_the_file(folder):
    before = text_facts(config(folder))["fingerprints"]
    (folder / "train.txt").write_text("\n\n" + (folder / "train.txt").read_text())
    assert text_facts(config(folder))["fingerprints"] == before
    (folder / "train.txt").write_text((folder / "train.txt").read_text() + "the cat sleeps\n")
    assert text_facts(config(folder))["fingerprints"] != before


def test_an_empty_text_is_refused_for_training_and_validation(folder):
    (folder / "dev.txt").write_text("\n \n")
    with pytest.raises(ValueError, match="dev.txt: expected sentences, got an empty text"):
        text_facts(config(folder))


def test_tokens_are_those_of_the_sentences_and_are_made_once(folder):
    chosen = config(folder)
    saved = tokenizer_dir(folder, chosen)
    text, tokenizer = tokenized(str(folder / "dev.txt"), chosen, saved), get_tokenizer(chosen)
    lines = (folder / "dev.txt").read_text().splitlines()
    assert [tokenizer.decode(text[i].tolist()) for i in range(len(text))] == lines
    assert text.id(2) == f"{folder}/dev.txt:3"
    made = {path: path.stat().st_mtime_ns for path in folder.glob("texts/*/*")}
    tokenized(str(folder / "dev.txt"), chosen, saved)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("texts/*/*")} == made and len(made) == 2


def test_other_sentences_another_normalizer_or_tokenizer_give_other_tokens(folder):
    chosen, name = config(folder), str(folder / "dev.txt")
    saved = tokenizer_dir(folder, chosen)
    first = tokenized(name, chosen, saved)
    (folder / "dev.txt").write_text("the dog sleeps\n")
    assert len(tokenized(name, chosen, saved)) == 1 != len(first)
    (folder / "dev.txt").write_text("THE dog sleeps!\n")
    spelled = config(folder, "normalizer=basic")
    assert tokenized(name, spelled, saved)[0].tolist() == [get_tokenizer(chosen).encode("the dog sleeps")][0]
    letters = config(folder, "tokenizer=char", "normalizer=basic")
    get_tokenizer(letters).save(folder / "letters")
    assert len(tokenized(name, letters, folder / "letters")[0]) == len("the dog sleeps")


def test_a_sentence_with_an_unknown_symbol_is_named_or_left_out(folder, capsys):
    chosen, name = config(folder), str(folder / "dev.txt")
    saved = tokenizer_dir(folder, chosen)
    (folder / "dev.txt").write_text("the dog sleeps\n\nthe cow sleeps\n")
    with pytest.raises(ValueError, match=r"dev.txt:3: word tokenizer: 'cow' .*data.skip_unknown=true leaves such sentences out"):
        tokenized(name, chosen, saved)
    skipping = config(folder, "data.skip_unknown=true")
    assert len(tokenized(name, skipping, saved)) == 1
    assert "dev.txt: 1 of 2 sentences are left out: empty after normalization or with unknown" in capsys.readouterr().err
    (folder / "dev.txt").write_text("a cow\n")
    with pytest.raises(ValueError, match="dev.txt: all of its 1 sentences are empty after normalization or with unknown"):
        tokenized(name, skipping, saved)


def test_transcripts_of_a_manifest_are_tokenized(folder):
    tiny.write_split(folder, "spoken", 4, seed=2)
    chosen = config(folder, "data.train=[spoken]", "data.valid=[spoken]")
    text = tokenized("spoken", chosen, tokenizer_dir(folder, chosen))
    assert len(text) == 4 and text.id(3) == "spoken:4"
