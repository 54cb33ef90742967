"""A backoff n-gram model as an acceptor of words, with the symbol #0 on its backoff arcs."""

from __future__ import annotations

import numpy as np

from speechkit.graphs.backoff import BackoffGraph
from speechkit.graphs.wfst import EPSILON, Wfst


def grammar_fst(model: BackoffGraph, backoff_label: int) -> Wfst:
    """G: sentences of words, at the cost of their probability.

    As in Kaldi a backoff arc stays open where the n-gram itself is known, so that the cheapest path of a sentence may cost
    less than its probability says: where the backoff gives a word more than the n-gram does.

    Args:
        model: Over word ids; words without an arc in state 0 cannot be said.
        backoff_label: Input label of backoff arcs (#0); their output is an epsilon.

    Raises:
        ValueError: No sentence can be said.
    """
    sources, targets, symbols = model.arc_sources, model.arc_targets, model.arc_symbols
    said = [sources, targets, symbols, symbols, -model.arc_weights]
    low = np.flatnonzero(model.backoff_states >= 0)
    labels = np.full(len(low), backoff_label), np.full(len(low), EPSILON)
    backoffs = [low, model.backoff_states[low], *labels, -model.backoff_weights[low]]
    arcs = np.concatenate([np.stack(said, axis=1), np.stack(backoffs, axis=1)])
    arcs = arcs[np.isfinite(arcs[:, 4])]  # a probability of 0 is no arc
    # State 0 of the transducer is the start, state 0 of the model has no history.
    renamed = np.arange(model.num_states)
    renamed[[0, model.start]] = model.start, 0
    arcs[:, :2] = renamed[arcs[:, :2].astype(np.int64)]
    ends = np.flatnonzero(np.isfinite(model.final_weights))
    if not len(ends) or not len(symbols):
        raise ValueError(
            "language model: expected words and an end of the sentence, got an empty one; estimate it on more text"
        )
    return Wfst.from_arcs(arcs, {int(renamed[state]): -float(model.final_weights[state]) for state in ends})
