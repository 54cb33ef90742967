"""The n-gram scorer against the model that was written, and tokens that its file lacks."""

from __future__ import annotations

import gzip
import itertools
import math

import pytest
import torch

from speechkit.config import validate
from speechkit.decode.scorers.ngram import NGramScorer
from speechkit.graphs.arpa import symbol_names, write_arpa
from speechkit.graphs.ngram_estimation import estimate
from speechkit.text.symbols import CharTokenizer
from speechkit.text.vocabulary import Vocabulary


@pytest.fixture
def tokens():
    tokenizer = CharTokenizer(CharTokenizer.Config())
    tokenizer.fit(["a b", "c"])
    return tokenizer


def write(tmp_path, tokenizer, texts=("ab a", "b ab", "a")):
    model = estimate([tokenizer.encode(text) for text in texts], tokenizer.vocabulary, 3, "witten_bell")
    write_arpa(tmp_path / "lm.arpa.gz", model, symbol_names(tokenizer.tokens))
    return model


def build(tmp_path, tokenizer):
    config = validate(NGramScorer.Config, {"name": "ngram", "path": "lm.arpa.gz"})
    return config.build(vocabulary=tokenizer.vocabulary, tokenizer=tokenizer, model_dir=tmp_path)


def total(scorer, sentence):
    state, found = scorer.start({}, 1), 0.0
    for token in sentence:
        found += scorer.score(state)[0, token].item()
        state = scorer.advance(state, torch.tensor([0]), torch.tensor([token]))
    return found + scorer.score(state)[0, scorer.vocabulary.eos_id].item()


def test_tokens_and_the_end_score_as_the_model_says(tmp_path, tokens):
    model, scorer = write(tmp_path, tokens), build(tmp_path, tokens)
    for sentence in itertools.product([2, 3, 4, 5], repeat=3):
        assert total(scorer, sentence) == pytest.approx(model.sentence_log_prob(sentence), rel=1e-5)


def test_a_token_that_the_file_lacks_is_its_unknown_word_or_all_but_impossible(tmp_path, tokens):
    smaller = CharTokenizer(CharTokenizer.Config())
    smaller.fit(["a b"])  # no c
    model, (space, a, c) = write(tmp_path, smaller), tokens.encode(" ac")
    scorer = build(tmp_path, tokens)
    expected = model.sentence_log_prob([smaller.unk_id, *smaller.encode(" a")])
    assert total(scorer, [c, space, a]) == pytest.approx(expected, rel=1e-5)
    text = gzip.decompress((tmp_path / "lm.arpa.gz").read_bytes()).decode()
    lines = [line for line in text.split("\n") if "<unk>" not in line]
    (tmp_path / "lm.arpa").write_text("\n".join(lines).replace("ngram 1=6", "ngram 1=5"))
    scorer = NGramScorer.Config(path=tmp_path / "lm.arpa").build(vocabulary=tokens.vocabulary, tokenizer=tokens)
    row = scorer.score(scorer.advance(scorer.start({}, 1), torch.tensor([0]), torch.tensor([c])))[0]
    assert row[c].item() == pytest.approx(-100 * math.log(10)) and row[a].item() == pytest.approx(model.log_prob([], a), rel=1e-5)


def test_a_file_over_other_symbols_is_an_error_that_names_the_first(tmp_path, tokens):
    other = CharTokenizer(CharTokenizer.Config())
    other.fit(["a bx"])
    write(tmp_path, other)
    with pytest.raises(ValueError, match=r"lm.arpa.gz:\d+: expected words that are symbols of the model, got 'x'"):
        build(tmp_path, tokens)


def test_a_missing_file_says_where_it_was_looked_for_and_how_to_make_one(tmp_path, tokens):
    where = rf"found nothing in .+ or {tmp_path}; make one with `speechkit lm {tmp_path} --to lm.arpa.gz`"
    with pytest.raises(ValueError, match=f"^lm.arpa.gz: expected an ARPA file, {where}"):
        build(tmp_path, tokens)


def test_without_a_tokenizer_there_are_no_names(tmp_path):
    with pytest.raises(ValueError, match="ngram scorer: expected the model's tokenizer"):
        NGramScorer.Config(path=tmp_path / "lm.arpa").build(vocabulary=Vocabulary(7))
