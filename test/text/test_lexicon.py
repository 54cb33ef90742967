import pytest

from speechkit.text.lexicon import Lexicon, Pronunciation


def read(tmp_path, content):
    path = tmp_path / "lexicon.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Lexicon.read(path)


def test_words_keep_their_order_and_all_their_pronunciations(tmp_path):
    lexicon = read(tmp_path, "zoo\tZ UW1\na  AH0\n\na EY1 \r\na AH0\n")
    assert list(lexicon) == ["zoo", "a"] and len(lexicon) == 2
    assert lexicon["a"] == (Pronunciation(("AH0",)), Pronunciation(("EY1",)))
    assert lexicon.phones == ["AH0", "EY1", "UW1", "Z"]


def test_probabilities_are_read_when_the_first_line_has_one(tmp_path):
    lexicon = read(tmp_path, "a 0.75 AH0\na .25 EY1\nred 1 R EH1 D\n")
    assert [spoken.probability for spoken in lexicon["a"]] == [0.75, 0.25]
    assert lexicon["red"] == (Pronunciation(("R", "EH1", "D"), 1.0),)


def test_a_bare_digit_is_a_phone(tmp_path):
    assert read(tmp_path, "one 1 a\n")["one"] == (Pronunciation(("1", "a")),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a AH0\nfoo\n", r"lexicon.txt:2: expected word and phones, got 'foo'"),
        ("a 0.5 AH0\nfoo 0.5\n", r"lexicon.txt:2: expected word, probability and phones, got 'foo 0.5'"),
        ("a 0.5 AH0\nb B\n", r"lexicon.txt:2: expected word, probability and phones"),
        ("a 0.5 AH0\nb B IY\n", r"lexicon.txt:2: expected a probability in \(0, 1\].*got 'B'"),
        ("a 0.5 AH0\nb 1.5 B\n", r"lexicon.txt:2: expected a probability in \(0, 1\].*got '1.5'"),
        ("a 0.0 AH0\n", r"lexicon.txt:1: expected a probability in \(0, 1\].*got '0.0'"),
        ("a AH0\nb 0.5 B\n", r"lexicon.txt:2: expected no probability"),
        (b"a AH0\nb \xff\n", r"lexicon.txt:2: expected UTF-8 text, got byte 0xff"),
        ("\n  \n", r"lexicon.txt: expected lines of a word and its phones, got an empty file"),
    ],
)
def test_a_wrong_line_is_named_with_its_file(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("probability", [1.0, 0.5, 1e-7, 1 / 3])
def test_a_written_lexicon_reads_back_the_same(tmp_path, probability):
    both = [Pronunciation(("AH0",)), Pronunciation(("EY1",), probability)]
    lexicon = Lexicon({"a": both, "天": [Pronunciation(("t", "ian1"))]})
    lexicon.write(tmp_path / "out.txt")
    assert dict(Lexicon.read(tmp_path / "out.txt")) == dict(lexicon)


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path):
    assert "a" in read(tmp_path, b"\xef\xbb\xbfa AH0\n")


def test_a_no_break_space_is_no_field_separator(tmp_path):
    assert list(read(tmp_path, "a\u00a0b AH0\n")) == ["a\u00a0b"]
