"""Composition: that the whole graph is right is shown where it is searched, in test/decode/test_decode_wfst.py."""

from __future__ import annotations

import numpy as np
import pytest
from toy_graph import TEXTS, char_tokenizer, language_model

from speechkit.graphs.decoding_graph import compose_lg, compose_topology
from speechkit.graphs.grammar import grammar_fst
from speechkit.graphs.lexicon_fst import lexicon_fst
from speechkit.graphs.spelling import spell
from speechkit.graphs.topology import ctc_topology
from speechkit.graphs.wfst import Wfst


def parts():
    tokenizer = char_tokenizer()
    spellings, _ = spell(" ".join(TEXTS).split(), tokenizer)
    lexicon = lexicon_fst(spellings, tokenizer.vocab_size)
    return tokenizer.vocab_size, lexicon, grammar_fst(language_model(spellings).graph, spellings.backoff_label)


def test_no_state_has_two_arcs_for_a_token_and_no_symbol_of_disambiguation_is_left() -> None:
    vocab_size, lexicon, grammar = parts()
    lg = compose_lg(lexicon, grammar, vocab_size)
    assert lg.ilabels.max() <= vocab_size and lg.num_states < lexicon.num_states * grammar.num_states
    tokens = lg.ilabels > 0
    keys = np.stack([lg.sources[tokens], lg.ilabels[tokens]], axis=1)
    assert len(np.unique(keys, axis=0)) == len(keys)
    whole = compose_topology(ctc_topology(vocab_size), lg)
    assert set(whole.olabels) == set(lg.olabels)


def test_parts_that_do_not_meet_leave_no_sentence() -> None:
    vocab_size, lexicon, _ = parts()
    stranger = Wfst.from_arcs([(0, 1, 4711, 4711, 0.0)], {1: 0.0})
    with pytest.raises(ValueError, match="composing the lexicon with the language model leaves no sentence"):
        compose_lg(lexicon, stranger, vocab_size)
