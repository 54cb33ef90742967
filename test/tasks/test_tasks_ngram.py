from __future__ import annotations

import pytest

from speechkit.graphs.arpa import read_arpa, symbol_names
from speechkit.tasks.base import load_config
from speechkit.tasks.manifests import open_splits, transcripts
from speechkit.tasks.ngram import NGramOptions, make_ngram
from speechkit.text.tokenizer import Tokenizer


def test_pruning_and_least_counts_leave_fewer_ngrams(trained, tmp_path):
    config, tokenizer = load_config(trained / "config.yaml"), Tokenizer.load(trained / "tokenizer")
    whole = make_ngram(config, tokenizer, NGramOptions(order=3), tmp_path / "whole.arpa")
    pruned = make_ngram(config, tokenizer, NGramOptions(order=3, prune=1e-2), tmp_path / "pruned.arpa")
    counted = make_ngram(config, tokenizer, NGramOptions(order=3, min_counts=(1, 2, 3)), tmp_path / "counted.arpa.gz")
    assert whole["ngrams"][2] > pruned["ngrams"][2] and whole["ngrams"][2] > counted["ngrams"][2]
    model = read_arpa(tmp_path / "whole.arpa", symbol_names(tokenizer.tokens), tokenizer.vocabulary)
    dev = [tokenizer.encode(sentence) for sentence in transcripts(open_splits(["dev"], config))]
    assert model.order == 3 and whole["perplexity"]["dev"] == pytest.approx(model.perplexity(dev), rel=1e-4)
