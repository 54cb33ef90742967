import pytest

from speechkit.text.symbols import CharTokenizer, WordTokenizer


def fitted(config, texts):
    tokenizer = config.build()
    tokenizer.fit(texts)
    return tokenizer


def test_the_vocabulary_of_characters_is_sorted_whatever_the_order_of_the_texts():
    one = fitted(CharTokenizer.Config(), ["b a", "天"])
    two = fitted(CharTokenizer.Config(), ["天", "a b"])
    assert one.tokens == two.tokens == ["<blank>", "<unk>", " ", "a", "b", "天", "<sos/eos>"]


def test_chinese_characters_are_words_by_themselves_and_latin_words_stay_whole():
    tokenizer = fitted(CharTokenizer.Config(), ["hi世界 ok"])
    assert tokenizer.word_spans(tokenizer.encode("hi世界 ok")) == [("hi", 0, 2), ("世", 2, 3), ("界", 3, 4), ("ok", 5, 7)]


def test_rare_symbols_stay_outside_the_vocabulary():
    tokenizer = fitted(CharTokenizer.Config(min_count=2, unknown="token"), ["aab", "c c"])
    assert tokenizer.tokens[2:-1] == ["a", "c"]
    assert tokenizer.encode("ab") == [2, 1]


def test_a_min_count_that_nothing_reaches_is_an_error():
    with pytest.raises(ValueError, match="occurs 5 times"):
        fitted(WordTokenizer.Config(min_count=5), ["a b"])


def test_the_most_frequent_words_are_kept_and_ties_go_by_code_point():
    tokenizer = fitted(WordTokenizer.Config(max_words=2), ["d c b", "d b c"])
    assert tokenizer.tokens[2:-1] == ["b", "c"]
    tokenizer = fitted(WordTokenizer.Config(max_words=2), ["d c b", "d a"])
    assert tokenizer.tokens[2:-1] == ["a", "d"]


def test_words_are_one_space_apart_after_decoding():
    tokenizer = fitted(WordTokenizer.Config(), ["a b"])
    assert tokenizer.decode(tokenizer.encode("  a   b ")) == "a b"
    assert tokenizer.word_spans(tokenizer.encode("b a b")) == [("b", 0, 1), ("a", 1, 2), ("b", 2, 3)]
