"""The grammar gives sentences the cost of their probability."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from speechkit.graphs.grammar import grammar_fst
from speechkit.graphs.ngram_estimation import estimate
from speechkit.graphs.wfst import Wfst
from speechkit.text.vocabulary import Vocabulary

WORDS = Vocabulary(6)  # 2, 3 and 4 are words
BACKOFF = 6


def costs(fst: Wfst, words: tuple[int, ...]) -> list[float]:
    """Cost of every path of a sentence."""
    found = []

    def go(state: int, place: int, cost: float) -> None:
        if place == len(words) and np.isfinite(fst.final[state]):
            found.append(cost + float(fst.final[state]))
        for arc in range(fst.offsets[state], fst.offsets[state + 1]):
            if fst.ilabels[arc] == BACKOFF:
                assert fst.olabels[arc] == 0
                go(fst.next_states[arc], place, cost + float(fst.costs[arc]))
            elif place < len(words) and fst.ilabels[arc] == words[place]:
                assert fst.olabels[arc] == words[place]
                go(fst.next_states[arc], place + 1, cost + float(fst.costs[arc]))

    go(0, 0, 0.0)
    return found


@pytest.mark.parametrize("order", [1, 2, 3])
def test_one_path_of_each_sentence_costs_what_the_model_says(order: int) -> None:
    model = estimate([[2, 3, 4], [2, 3, 2], [3], [4, 4, 2]], WORDS, order, "witten_bell")
    fst = grammar_fst(model.graph, BACKOFF)
    for length in range(4):
        for words in itertools.product((2, 3, 4), repeat=length):
            assert min(abs(cost + model.sentence_log_prob(words)) for cost in costs(fst, words)) < 1e-5


def test_a_model_without_words_is_refused() -> None:
    model = estimate([[2]], WORDS, 1, "witten_bell")
    none = np.empty(0, dtype=np.int64)
    empty = replace(model.graph, arc_symbols=none, arc_targets=none, arc_weights=none * 1.0, arc_offsets=np.zeros(2, int))
    with pytest.raises(ValueError, match="language model: expected words and an end of the sentence, got an empty one"):
        grammar_fst(empty, BACKOFF)
