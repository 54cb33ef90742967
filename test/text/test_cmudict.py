from pathlib import Path

import pytest

from speechkit.text.cmudict import CmudictTokenizer, read_cmudict
from speechkit.text.tokenizer import Tokenizer

# The test data of keithito/tacotron, tests/cmudict_test.py.
PUBLISHED = """
;;; # CMUdict  --  Major Version: 0.07
)PAREN  P ER EH N
'TIS  T IH Z
ADVERSE  AE0 D V ER1 S
ADVERSE(1)  AE1 D V ER2 S
ADVERSE(2)  AE2 D V ER1 S
ADVERSELY  AE0 D V ER1 S L IY0
ADVERSITY  AE0 D V ER1 S IH0 T IY2
BARBERSHOP  B AA1 R B ER0 SH AA2 P
YOU'LL  Y UW1 L
"""
WORDS = """a AH0
a(2) EY1
b B IY1
c S IY1
cat K AE1 T # kitty
bus B AH1 S
dog D AO1 G
read R EH1 D
read(2) R IY1 D
x EH1 K S
ray R EY1
"""


def write(folder, text):
    (folder / "words.dict").write_text(text, encoding="utf-8")
    return folder / "words.dict"


def fitted(folder, *texts, **options):
    tokenizer = CmudictTokenizer.Config(dictionary=str(write(folder, WORDS)), **options).build()
    tokenizer.fit(texts)
    return tokenizer


def spoken(tokenizer, text):
    return tokenizer.decode(tokenizer.encode(text))


def test_the_published_dictionary_is_read_as_published(tmp_path):
    lexicon = read_cmudict(write(tmp_path, PUBLISHED))
    phones = {word: [" ".join(each.phones) for each in lexicon[word]] for word in lexicon}
    assert len(phones) == 6
    assert phones["adversity"] == ["AE0 D V ER1 S IH0 T IY2"]
    assert phones["barbershop"] == ["B AA1 R B ER0 SH AA2 P"]
    assert phones["you'll"] == ["Y UW1 L"]
    assert phones["'tis"] == ["T IH Z"]
    assert phones["adverse"] == ["AE0 D V ER1 S", "AE1 D V ER2 S", "AE2 D V ER1 S"]
    assert "" not in phones and "foo" not in phones and ")paren" not in phones


def test_comments_behind_phones_and_latin_1_are_read(tmp_path):
    assert read_cmudict(write(tmp_path, WORDS))["cat"][0].phones == ("K", "AE1", "T")
    (tmp_path / "old.dict").write_bytes("DÉJÀ  D EY2 ZH AA1\n".encode("latin-1"))
    assert read_cmudict(tmp_path / "old.dict")["déjà"][0].phones == ("D", "EY2", "ZH", "AA1")


def test_what_is_no_dictionary_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"words\.dict:2: expected a word and its phones, got 'b'"):
        read_cmudict(write(tmp_path, "a AH0\nb\n"))
    with pytest.raises(ValueError, match=r"words\.dict: expected lines of a word and its phones, got none"):
        read_cmudict(write(tmp_path, ";;; nothing\n"))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.dict: cannot read the dictionary"):
        read_cmudict(tmp_path / "nowhere.dict")


def test_words_marks_and_boundaries_become_tokens(tmp_path):
    tokenizer = fitted(tmp_path, "a cat, dog.")
    assert spoken(tokenizer, "A Cat, dog.") == "AH0 | K AE1 T , | D AO1 G ."
    assert set(tokenizer.tokens[2:-1]) == {*read_cmudict(tmp_path / "words.dict").phones, ",", ".", "|"}


def test_braces_say_which_pronunciation_is_meant(tmp_path):
    tokenizer = fitted(tmp_path, "a cat")
    assert spoken(tokenizer, "read {R IY1 D} b") == "R EH1 D | R IY1 D | B IY1"
    with pytest.raises(ValueError, match=r"'QQ' in 'a \{QQ\}' is outside the vocabulary"):
        tokenizer.encode("a {QQ}")


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("cat's", "K AE1 T S"),
        ("dog's", "D AO1 G Z"),
        ("bus's", "B AH1 S IH0 Z"),
        ("cats'", None),
        ("dog'", "D AO1 G"),
        ("x-ray", "EH1 K S R EY1"),
    ],
)
def test_possessives_quotes_and_compounds_of_known_words_are_known(tmp_path, word, phones):
    (tmp_path / "more").mkdir()
    tokenizer = CmudictTokenizer.Config(dictionary=str(write(tmp_path, WORDS + "his HH IH0 Z\n")), fallback="none").build()
    tokenizer.fit([])
    if phones:
        assert spoken(tokenizer, word) == phones
    else:
        with pytest.raises(ValueError, match=f"{word}"):
            tokenizer.encode(word)


def test_an_unknown_word_is_shown_spelled_or_read_by_espeak(tmp_path):
    with pytest.raises(ValueError, match="'Cab' in 'a Cab' is outside the vocabulary"):
        fitted(tmp_path, "a", fallback="none").encode("a Cab")
    assert spoken(fitted(tmp_path, "a", fallback="spell"), "cab") == "S IY1 AH0 B IY1"
    assert spoken(fitted(tmp_path, "a", fallback="espeak"), "bad") == "B AE1 D"
    with pytest.raises(ValueError, match="'dab' in 'dab'"):  # the letter d has no name in this dictionary
        fitted(tmp_path, "a", fallback="spell").encode("dab")
    assert spoken(fitted(tmp_path, "a b", fallback="none", unknown="token"), "a zoo") == "AH0 | \u2047"


def test_another_writing_is_unknown_whatever_the_fallback(tmp_path):
    with pytest.raises(ValueError, match="'你好' in 'a 你好' is outside"):
        fitted(tmp_path, "a").encode("a 你好")


def test_a_loaded_tokenizer_does_not_need_the_dictionary(tmp_path):
    tokenizer = fitted(tmp_path, "a cat, read.")
    tokenizer.save(tmp_path / "saved")
    (tmp_path / "words.dict").unlink()
    assert Tokenizer.load(tmp_path / "saved").encode("read a cat, cat's") == tokenizer.encode("read a cat, cat's")


def test_its_config_names_the_dictionary_as_an_input():
    assert CmudictTokenizer.Config(dictionary="local/cmudict.dict").input_files == (Path("local/cmudict.dict"),)
