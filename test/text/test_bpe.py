import hashlib
import os
import subprocess
import sys

import pytest
import sentencepiece

from speechkit.text.bpe import BpeTokenizer
from speechkit.text.tokenizer import Tokenizer

TEXTS = ["the cat sat on the mat", "a dog barked", "今天天气很好", "the weather is nice today", "new low and newer lower"]


def fitted(texts=TEXTS, **options):
    tokenizer = BpeTokenizer.Config(**{"vocab_size": 40, "model_type": "bpe", **options}).build()
    tokenizer.fit(texts)
    return tokenizer


@pytest.mark.parametrize("model_type", ["bpe", "unigram"])
def test_a_vocabulary_larger_than_possible_names_the_maximum_and_the_maximum_works(model_type):
    with pytest.raises(ValueError, match=r"tokenizer.vocab_size: this text gives at most \d+ .*got 5000") as error:
        fitted(vocab_size=5000, model_type=model_type)
    most = int(str(error.value).split("at most ")[1].split()[0])
    assert fitted(vocab_size=most, model_type=model_type).vocab_size == most
    with pytest.raises(ValueError, match=f"at most {most}"):
        fitted(vocab_size=most + 1, model_type=model_type)


def test_a_vocabulary_smaller_than_the_characters_names_the_minimum_and_the_minimum_works():
    with pytest.raises(ValueError, match=r"tokenizer.vocab_size: .*need \d+ tokens, got 9") as error:
        fitted(vocab_size=9)
    least = int(str(error.value).split("need ")[1].split()[0])
    assert least == len(set("".join(TEXTS))) + 3  # the space sign is one of the characters
    assert fitted(vocab_size=least).vocab_size == least


def test_pieces_and_ids_are_sentencepieces_own_one_later(tmp_path):
    tokenizer = fitted()
    tokenizer.save(tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "bpe.model"))
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert ids == [index + 1 for index in processor.encode(text)]
        assert [tokenizer.tokens[index] for index in ids] == processor.encode(text, out_type=str)
        assert tokenizer.decode(ids) == processor.decode([index - 1 for index in ids])


def test_spans_join_the_pieces_of_a_word():
    tokenizer = fitted(vocab_size=60)
    ids = tokenizer.encode("newer then kit")
    assert [tokenizer.tokens[index] for index in ids] == ["▁ne", "wer", "▁the", "n", "▁", "k", "i", "t"]
    assert tokenizer.word_spans(ids) == [("newer", 0, 2), ("then", 2, 4), ("kit", 5, 8)]


def test_bytes_spell_unknown_characters():
    tokenizer = fitted(vocab_size=300, byte_fallback=True)
    ids = tokenizer.encode("a 𠀀z")
    assert tokenizer.unk_id not in ids and tokenizer.decode(ids) == "a 𠀀z"
    assert [word for word, _, _ in tokenizer.word_spans(ids)] == ["a", "𠀀", "z"]


def test_text_that_looks_like_a_byte_token_is_plain_text():
    tokenizer = fitted(texts=["a<0x41>", "b<0x41>", "c<0x41>"], vocab_size=18)
    assert tokenizer.decode(tokenizer.encode("a<0x41>")) == "a<0x41>"


@pytest.mark.parametrize("reserved", ["\u2581", "\u2585", "\u2047", "\0"])
def test_a_character_that_sentencepiece_would_skip_is_an_error(reserved):
    with pytest.raises(ValueError, match="is reserved by SentencePiece"):
        fitted(texts=[*TEXTS, f"a{reserved}b"])


def test_the_sign_for_a_space_is_not_taken_for_a_space():
    with pytest.raises(ValueError, match=r"U\+2581"):
        fitted().encode("the\u2581cat")


def test_a_very_long_sentence_is_not_skipped():
    assert "q" in fitted(texts=[*TEXTS, "a " * 5000 + "q"]).tokens


def test_another_process_learns_the_same_model(tmp_path):
    code = (
        "import sys; from speechkit.text.bpe import BpeTokenizer\n"
        f"tokenizer = BpeTokenizer.Config(vocab_size=33).build(); tokenizer.fit({TEXTS!r}); tokenizer.save(sys.argv[1])"
    )
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, tmp_path / "other"], check=True, env=environment)
    fitted(vocab_size=33, model_type="unigram").save(tmp_path / "here")
    digests = [hashlib.sha256((tmp_path / name / "bpe.model").read_bytes()).hexdigest() for name in ("other", "here")]
    assert digests[0] == digests[1]
    assert Tokenizer.load(tmp_path / "other").tokens == Tokenizer.load(tmp_path / "here").tokens
