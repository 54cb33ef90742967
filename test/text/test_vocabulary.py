from __future__ import annotations

from speechkit.text.symbols import CharTokenizer
from speechkit.text.vocabulary import Vocabulary


def test_the_ids_are_those_of_the_tokenizer():
    tokenizer = CharTokenizer.Config().build()
    tokenizer.fit(["one two"])
    assert tokenizer.vocabulary == Vocabulary(tokenizer.vocab_size, tokenizer.blank_id)
    assert tokenizer.vocabulary.sos_id == tokenizer.vocabulary.eos_id == tokenizer.sos_id
    assert tokenizer.tokens[tokenizer.vocabulary.eos_id] == "<sos/eos>"
