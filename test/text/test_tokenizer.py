"""What holds for every registered tokenizer: the layout of ids, round trips, spans, files and their errors."""

import hashlib
import json
import pickle
import random

import pytest

import speechkit.text  # noqa: F401 registers the tokenizers
from speechkit.config import ConfigError
from speechkit.text.tokenizer import Tokenizer

TEXTS = ["the cat sat on the mat", "a dog barked", "it's a nice day", "the mat sat on a dog"]
LEXICON = "".join(f"{word} {' '.join(word.upper())}\n" for word in sorted(set(" ".join(TEXTS).split())))
OPTIONS = {"bpe": {"vocab_size": 29, "model_type": "bpe"}}
LEXICON_OPTION = {"phone": "lexicon", "cmudict": "dictionary"}
SPOKEN = {"ipa", "cmudict", "pinyin"}  # they write sounds, not the text: see test_spoken.py and their own tests
WRITTEN = sorted(set(Tokenizer.registry) - SPOKEN)


@pytest.fixture(params=sorted(Tokenizer.registry))
def tokenizer(request, tmp_path):
    return trained(request.param, tmp_path)


def trained(name, tmp_path, texts=TEXTS, **options):
    if name in LEXICON_OPTION:
        (tmp_path / "source.txt").write_text(LEXICON, encoding="utf-8")
        options[LEXICON_OPTION[name]] = str(tmp_path / "source.txt")
    tokenizer = Tokenizer.registry[name].Config(**{**OPTIONS.get(name, {}), **options}).build()
    tokenizer.fit(texts)
    return tokenizer


def test_blank_is_first_then_unknown_and_the_end_of_sentence_last(tokenizer):
    assert tokenizer.tokens[0] == "<blank>" and tokenizer.blank_id == 0
    assert tokenizer.tokens[1] == "<unk>" and tokenizer.unk_id == 1
    assert tokenizer.tokens[-1] == "<sos/eos>"
    assert tokenizer.sos_id == tokenizer.eos_id == tokenizer.vocab_size - 1 == len(tokenizer.tokens) - 1
    assert len(set(tokenizer.tokens)) == len(tokenizer.tokens)


def test_encoding_gives_learned_tokens_only(tokenizer):
    ids = {token for text in TEXTS for token in tokenizer.encode(text)}
    assert ids <= set(range(2, tokenizer.vocab_size - 1))


def test_decoding_undoes_encoding(tokenizer):
    for text in TEXTS + [""]:
        if tokenizer.config.name in SPOKEN:
            continue
        expected = " ".join(text.upper().replace(" ", "")) if tokenizer.config.name == "phone" else text
        assert tokenizer.decode(tokenizer.encode(text)) == expected


def test_blank_and_end_of_sentence_are_silent(tokenizer):
    ids = tokenizer.encode(TEXTS[0])
    framed = [tokenizer.sos_id, *ids, tokenizer.eos_id, tokenizer.blank_id]
    assert tokenizer.decode(framed) == tokenizer.decode(ids)
    assert tokenizer.word_spans(framed) == [(word, a + 1, b + 1) for word, a, b in tokenizer.word_spans(ids)]


def test_an_unknown_token_reads_as_one_character(tokenizer):
    assert tokenizer.decode([tokenizer.unk_id]) == "\u2047"


def test_spans_spell_the_words_of_the_decoded_text(tokenizer):
    for text in TEXTS:
        ids = tokenizer.encode(text)
        spans = tokenizer.word_spans(ids)
        assert [word for word, _, _ in spans] == tokenizer.decode(ids).split()
        assert all(tokenizer.decode(ids[first:last]).strip() == word for word, first, last in spans)
        assert all(a < b <= c for (_, a, b), (_, c, _) in zip(spans, spans[1:]))


@pytest.mark.parametrize("token_id", [-1, "vocab_size"])
def test_an_id_outside_the_vocabulary_is_named(tokenizer, token_id):
    token_id = tokenizer.vocab_size if token_id == "vocab_size" else token_id
    with pytest.raises(ValueError, match=f"got {token_id}"):
        tokenizer.decode([2, token_id])


def test_the_empty_text_has_no_tokens(tokenizer):
    assert tokenizer.encode("") == [] and tokenizer.decode([]) == "" and tokenizer.word_spans([]) == []


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - {"byte"}))
def test_a_symbol_outside_the_vocabulary_is_named_with_its_text(name, tmp_path):
    with pytest.raises(ValueError, match="zebra|'z'") as error:
        trained(name, tmp_path).encode("a zebra")
    assert "'a zebra'" in str(error.value) and "tokenizer.unknown: token" in str(error.value)


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - {"byte"}))
def test_a_symbol_outside_the_vocabulary_can_be_a_token(name, tmp_path):
    tokenizer = trained(name, tmp_path, unknown="token")
    ids = tokenizer.encode("a z dog")
    assert ids.count(tokenizer.unk_id) == 1
    assert tokenizer.decode(ids) == ("A \u2047 D O G" if name == "phone" else "a \u2047 dog")


@pytest.mark.parametrize("name", sorted(set(Tokenizer.registry) - {"byte"}))
@pytest.mark.parametrize("reserved", ["<blank>", "<unk>", "<sos/eos>"])
def test_a_reserved_name_in_a_text_is_never_a_reserved_id(name, reserved, tmp_path):
    options = {"vocab_size": 45} if name == "bpe" else {}
    tokenizer = trained(name, tmp_path, texts=[*TEXTS, f"a {reserved} dog"], unknown="token", **options)
    ids = tokenizer.encode(f"a {reserved} dog")
    assert not {tokenizer.blank_id, tokenizer.sos_id} & set(ids)
    assert len(set(tokenizer.tokens)) == tokenizer.vocab_size


@pytest.mark.parametrize("name", sorted(set(Tokenizer.registry) - {"byte"}))
def test_a_tokenizer_without_vocabulary_says_so(name):
    options = {LEXICON_OPTION[name]: "none.txt"} if name in LEXICON_OPTION else {}
    tokenizer = Tokenizer.registry[name].Config(**options).build()
    for use in (lambda: tokenizer.encode("a"), lambda: tokenizer.decode([2]), lambda: tokenizer.vocab_size):
        with pytest.raises(ValueError, match="no vocabulary yet"):
            use()


@pytest.mark.parametrize("name", ["char", "word", "bpe"])
@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_learning_from_nothing_is_an_error(name, texts, tmp_path):
    with pytest.raises(ValueError, match="expected text to learn from"):
        trained(name, tmp_path, texts=texts)


def test_one_string_is_not_taken_for_a_list_of_texts(tokenizer):
    with pytest.raises(ValueError, match="one string"):
        tokenizer.fit("the cat")


# --- random text --------------------------------------------------------------------------------------------------

ALPHABET = "abcé'<>-09 今天气好アー한글🙂𠀀\u0301\u200d\u3000"


def random_texts(count, seed=0):
    source = random.Random(seed)
    return ["".join(source.choices(ALPHABET, k=source.randrange(1, 15))) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("char", {}),
        ("byte", {}),
        ("bpe", {"vocab_size": 60}),
        ("bpe", {"vocab_size": 60, "model_type": "bpe"}),
        ("bpe", {"vocab_size": 310, "byte_fallback": True, "model_type": "bpe", "character_coverage": 0.98}),
    ],
)
def test_random_unicode_text_survives_the_round_trip_with_all_its_spaces(name, options, tmp_path):
    tokenizer = trained(name, tmp_path, texts=[ALPHABET, *random_texts(300, seed=1)], **options)
    for text in random_texts(300) + [" ", "  a  b ", " 今 天"]:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        spans = tokenizer.word_spans(ids)
        assert "".join(word for word, _, _ in spans) == text.replace(" ", "")
        assert all(0 <= a < b <= len(ids) for _, a, b in spans)


# --- files --------------------------------------------------------------------------------------------------------


def test_a_loaded_tokenizer_is_the_saved_one(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "saved")
    loaded = Tokenizer.load(tmp_path / "saved")
    assert type(loaded) is type(tokenizer) and loaded.config == tokenizer.config and loaded.tokens == tokenizer.tokens
    for text in TEXTS:
        assert loaded.encode(text) == tokenizer.encode(text)
        assert loaded.word_spans(loaded.encode(text)) == tokenizer.word_spans(tokenizer.encode(text))


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_saved_bytes_depend_on_nothing_but_texts_and_config(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "one")
    trained(tokenizer.config.name, tmp_path).save(tmp_path / "two")
    Tokenizer.load(tmp_path / "one").save(tmp_path / "three")
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "three")
    assert {"tokenizer.yaml", "tokens.json", "checksums.json"} <= set(contents(tmp_path / "one"))


def test_every_altered_file_is_refused_by_name(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "saved")
    for path in sorted((tmp_path / "saved").iterdir()):
        original = path.read_bytes()
        path.write_bytes(original[:-3] + b"#" + original[-2:] if path.name != "checksums.json" else original[:-20])
        with pytest.raises(ValueError, match=f"{path.name}: .*restore"):
            Tokenizer.load(tmp_path / "saved")
        path.write_bytes(original)
    Tokenizer.load(tmp_path / "saved")


def test_every_missing_file_is_refused_by_name(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "saved")
    for path in sorted((tmp_path / "saved").iterdir()):
        original = path.read_bytes()
        path.unlink()
        with pytest.raises(FileNotFoundError, match=f"{path.name}: cannot read .*restore"):
            Tokenizer.load(tmp_path / "saved")
        path.write_bytes(original)


def test_a_file_without_checksum_is_refused(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    (tmp_path / "checksums.json").write_text('{"tokens.json": "0"}')
    with pytest.raises(ValueError, match="tokenizer.yaml: expected sha256 None"):
        Tokenizer.load(tmp_path)


def test_a_saved_kind_that_does_not_exist_is_named(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer.yaml").write_text("name: chars\n")
    sums = json.loads((tmp_path / "checksums.json").read_text())
    sums["tokenizer.yaml"] = hashlib.sha256(b"name: chars\n").hexdigest()
    (tmp_path / "checksums.json").write_text(json.dumps(sums))
    with pytest.raises(ConfigError, match="did you mean 'char'"):
        Tokenizer.load(tmp_path)


def test_a_tokenizer_goes_to_worker_processes(tokenizer):
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])
