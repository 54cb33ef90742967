"""N-gram language models over tokens, from ARPA files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.decode.scorers.graph import GraphScorer
from speechkit.graphs.arpa import UNKNOWN, read_arpa, symbol_names

_NEVER = -100 * math.log(10)


class NGramScorer(GraphScorer, name="ngram"):
    """Log-probabilities of a backoff n-gram model over the model's own tokens.

    The file's words are the tokens as the tokenizer lists them, with ``<space>`` for a space (``graphs.arpa.symbol_names``).
    Tokens that the file lacks are its ``<unk>``, and 10 ** -100 where it has none. Models over words belong into a
    decoding graph (the search ``wfst``): here a word's score would come only at its end, too late for the beam.
    """

    class Config(GraphScorer.Config):
        """Options of n-gram language models."""

        path: Path
        """ARPA file, packed if it ends in .gz; as given, or in the model's folder."""

    def __init__(self, config: Config, **facts: Any) -> None:
        super().__init__(config, **facts)
        if self.tokenizer is None:
            raise ValueError("ngram scorer: expected the model's tokenizer, whose tokens the file names, got none")
        names = symbol_names(self.tokenizer.tokens)
        make = f"make one with `speechkit lm {self.model_dir or 'MODEL'} --to {config.path}`"
        model = read_arpa(self.find_file(config.path, "an ARPA file", make), names, self.vocabulary)
        self.graph, self.default = model.graph, _NEVER
        known = np.isin(np.arange(self.vocabulary.size), model.symbols)
        unknown = names.index(UNKNOWN)
        known[self.vocabulary.blank_id] = True  # no token that is spoken
        self.symbols = np.where(known | (not known[unknown]), np.arange(self.vocabulary.size), unknown)
