import random

from speechkit.text.byte import ByteTokenizer


def build():
    return ByteTokenizer.Config().build()


def test_the_ids_are_the_utf8_bytes_plus_two():
    tokenizer = build()
    assert tokenizer.vocab_size == 259
    assert tokenizer.encode("aé天") == [byte + 2 for byte in "aé天".encode()]
    assert tokenizer.tokens[2 + 0xE5] == "<0xE5>"


def test_broken_utf8_decodes_as_python_does():
    source, tokenizer = random.Random(0), build()
    for _ in range(500):
        data = bytes(source.choices([0x61, 0x20, 0xE5, 0xA4, 0xA9, 0xF0, 0x80, 0xFF], k=source.randrange(9)))
        ids = [byte + 2 for byte in data]
        assert tokenizer.decode(ids) == data.decode("utf-8", "replace")
        spans = tokenizer.word_spans(ids)
        assert "".join(word for word, _, _ in spans) == data.decode("utf-8", "replace").replace(" ", "")


def test_a_character_of_several_bytes_spans_them_all():
    tokenizer = build()
    assert tokenizer.word_spans(tokenizer.encode("é 天气")) == [("é", 0, 2), ("天", 3, 6), ("气", 6, 9)]


def test_an_unknown_token_between_bytes_keeps_their_order():
    assert build().decode([0x61 + 2, 1, 0x62 + 2]) == "a\u2047b"
