"""Decoding graphs: the composition of a topology, a lexicon and a grammar, made deterministic and small by OpenFst."""

from __future__ import annotations

from typing import Any

from speechkit.graphs.wfst import Wfst, openfst

# OpenFst compares sums of costs in single precision by this difference (nats). Its own default of 1/1024 would make the
# scores of long sentences differ in their second digit.
DELTA = 1e-5


def compose_lg(lexicon: Wfst, grammar: Wfst, vocab_size: int) -> Wfst:
    """LG = min(det(L o G)): from tokens to words, without symbols of disambiguation.

    Args:
        lexicon: L; input labels above ``vocab_size`` are symbols of disambiguation.
        grammar: G.
        vocab_size: V of the model.

    Raises:
        ValueError: L o G is empty.
    """
    kaldifst = openfst()
    fst = _compose(lexicon.to_openfst(), grammar.to_openfst(), "the lexicon with the language model")
    kaldifst.determinize_star(fst, delta=DELTA)
    kaldifst.minimize_encoded(fst, delta=DELTA)
    return Wfst.from_openfst(fst).without_labels_above(vocab_size)


def compose_topology(topology: Wfst, lg: Wfst) -> Wfst:
    """TLG (or HLG) = T o LG: from the labels of frames to words.

    Raises:
        ValueError: The composition is empty.
    """
    return Wfst.from_openfst(_compose(topology.to_openfst(), lg.to_openfst(), "the topology with the lexicon"))


def _compose(left: Any, right: Any, what: str) -> Any:
    kaldifst = openfst()
    kaldifst.arcsort(left, "olabel")
    kaldifst.arcsort(right, "ilabel")
    fst = kaldifst.compose(left, right)
    if fst.start < 0:
        raise ValueError(f"decoding graph: composing {what} leaves no sentence; look for words that only one of them has")
    return fst
