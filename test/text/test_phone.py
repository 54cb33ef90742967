from pathlib import Path

import pytest

from speechkit.text.phone import PhoneTokenizer
from speechkit.text.tokenizer import Tokenizer

LEXICON = "a AH0\na EY1\nread R EH1 D\nread R IY1 D\nred R EH1 D\n"


@pytest.fixture
def tokenizer(tmp_path):
    (tmp_path / "words.txt").write_text(LEXICON)
    tokenizer = PhoneTokenizer.Config(lexicon=str(tmp_path / "words.txt")).build()
    tokenizer.fit([])
    return tokenizer


def test_the_vocabulary_is_the_phones_of_the_lexicon(tokenizer):
    assert tokenizer.tokens == ["<blank>", "<unk>", "AH0", "D", "EH1", "EY1", "IY1", "R", "<sos/eos>"]


def test_a_word_is_encoded_by_its_first_pronunciation(tokenizer):
    assert tokenizer.decode(tokenizer.encode("read a")) == "R EH1 D AH0"


def test_spans_are_phones(tokenizer):
    assert tokenizer.word_spans(tokenizer.encode("red")) == [("R", 0, 1), ("EH1", 1, 2), ("D", 2, 3)]


def test_a_word_that_is_also_a_phone_is_not_taken_for_it(tokenizer):
    with pytest.raises(ValueError, match="the word 'R' in 'read R' is not among the 3 words .*words.txt"):
        tokenizer.encode("read R")


def test_a_loaded_tokenizer_does_not_need_the_original_lexicon(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "saved")
    (tmp_path / "words.txt").unlink()
    assert Tokenizer.load(tmp_path / "saved").encode("a red") == tokenizer.encode("a red")


def test_its_config_names_the_lexicon_as_an_input():
    assert PhoneTokenizer.Config(lexicon="local/words.txt").input_files == (Path("local/words.txt"),)


def test_a_phone_with_a_reserved_name_is_an_error(tmp_path):
    (tmp_path / "words.txt").write_text("oh <blank>\n")
    with pytest.raises(ValueError, match="words.txt: the phone '<blank>' has a reserved name"):
        PhoneTokenizer.Config(lexicon=str(tmp_path / "words.txt")).build().fit([])


def test_a_missing_lexicon_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.txt: cannot read the lexicon"):
        PhoneTokenizer.Config(lexicon=str(tmp_path / "nowhere.txt")).build().fit([])
