from __future__ import annotations

import gzip

import pytest
import tiny

from speechkit.data.cuts import open_cuts, transcript
from speechkit.data.text import TokenizedText, read_sentences, write_tokens


def test_a_text_has_one_sentence_per_line_and_blank_lines_are_none(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("ein haus\n\n  zwei häuser \n\t\nende", encoding="utf-8")
    assert list(read_sentences(path)) == [(1, "ein haus"), (3, "zwei häuser"), (5, "ende")]
    zipped = tmp_path / "book.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert list(read_sentences(zipped)) == list(read_sentences(path))


def test_a_manifest_gives_its_transcripts(tmp_path):
    tiny.write_split(tmp_path, "dev", 3, seed=2)
    path = tmp_path / "dev.jsonl.gz"
    assert list(read_sentences(path)) == list(enumerate(map(transcript, open_cuts(path)), start=1))


def test_a_file_that_cannot_be_read_is_named_with_the_line(tmp_path):
    path = tmp_path / "book.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n" * 9000)[:-20])
    with pytest.raises(ValueError, match=r"book.gz: cut short or corrupt after line \d+"):
        list(read_sentences(path))
    (tmp_path / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(ValueError, match=r"latin.txt: cut short or corrupt after line"):
        list(read_sentences(tmp_path / "latin.txt"))
    with pytest.raises(ValueError, match=r"none.txt: no such text in"):
        list(read_sentences(tmp_path / "none.txt"))
    with pytest.raises(ValueError, match=r"book.pdf: expected a manifest .* or a text"):
        list(read_sentences(tmp_path / "book.pdf"))


def test_tokens_come_back_with_their_places(tmp_path):
    assert not TokenizedText.is_in(tmp_path)
    assert write_tokens([(1, [5, 3]), (2, []), (4, [2]), (7, [70000, 2, 2])], tmp_path) == (3, 1)
    assert TokenizedText.is_in(tmp_path)
    text = TokenizedText(tmp_path, "train")
    assert [text[i].tolist() for i in range(len(text))] == [[5, 3], [2], [70000, 2, 2]]
    assert [text.id(i) for i in range(3)] == ["train:1", "train:4", "train:7"] and text.lens.tolist() == [2, 1, 3]


def test_a_text_that_broke_off_is_not_taken_for_a_whole_one(tmp_path):
    def breaking():
        yield 1, [2, 3]
        raise ValueError("line 2")

    with pytest.raises(ValueError, match="line 2"):
        write_tokens(breaking(), tmp_path)
    assert not TokenizedText.is_in(tmp_path) and not list(tmp_path.iterdir())


def test_nothing_but_empty_sentences_is_no_text(tmp_path):
    assert write_tokens([(1, []), (2, [])], tmp_path) == (0, 2) and not TokenizedText.is_in(tmp_path)
