"""How the contract tests build each scorer: name -> function (tmp_path, vocabulary) -> (scorer, decoders)."""

from __future__ import annotations

from lm_toy import write_lm

from speechkit.decode.scorers.hotwords import HotwordScorer
from speechkit.decode.scorers.internal_lm import InternalLmScorer
from speechkit.decode.scorers.neural_lm import NeuralLmScorer
from speechkit.decode.scorers.ngram import NGramScorer
from speechkit.graphs.arpa import symbol_names, write_arpa
from speechkit.graphs.ngram_estimation import estimate
from speechkit.models.decoder.transducer import Transducer
from speechkit.text.symbols import CharTokenizer


def letters(vocabulary):
    """A tokenizer of as many letters as the vocabulary has."""
    tokenizer = CharTokenizer(CharTokenizer.Config())
    tokenizer.fit(["abcdefghijkl"[: vocabulary.size - 3]])
    return tokenizer


def ngram(tmp_path, vocabulary):
    model = estimate([[2, 3, 4], [5, 2, 3], [3], [3, 5, 4, 2]], vocabulary, 3, "witten_bell")
    write_arpa(tmp_path / "lm.arpa", model, symbol_names(letters(vocabulary).tokens))
    config = NGramScorer.Config(path=tmp_path / "lm.arpa")
    return config.build(vocabulary=vocabulary, tokenizer=letters(vocabulary)), {}


def hotwords(tmp_path, vocabulary):
    config = HotwordScorer.Config(phrases=("abc", "bd"))
    return config.build(vocabulary=vocabulary, tokenizer=letters(vocabulary)), {}


def lm(tmp_path, vocabulary):
    write_lm(tmp_path, vocabulary.size)
    config = NeuralLmScorer.Config(model=tmp_path, temperature=1.5)
    return config.build(vocabulary=vocabulary, tokenizer=letters(vocabulary)), {}


def internal_lm(tmp_path, vocabulary):
    decoder = Transducer.Config(joiner_dim=6).build(in_dim=5, vocabulary=vocabulary).eval()
    return InternalLmScorer.Config().build(vocabulary=vocabulary), {"transducer": decoder}


CASES = {"ngram": ngram, "hotwords": hotwords, "lm": lm, "internal_lm": internal_lm}
