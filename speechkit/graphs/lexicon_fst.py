"""The lexicon as a transducer from tokens to words, with the symbols that make it determinisable."""

from __future__ import annotations

import collections
from itertools import count

import numpy as np

from speechkit.graphs.spelling import Spelling, Spellings
from speechkit.graphs.topology import label
from speechkit.graphs.wfst import EPSILON, Wfst


def lexicon_fst(spellings: Spellings, vocab_size: int) -> Wfst:
    """L: from tokens to words, for sentences of any number of words; it accepts the empty one.

    Input labels above ``vocab_size`` are symbols of disambiguation: ``vocab_size + 1`` is #0, which follows the backoff
    arcs of the grammar (``spellings.backoff_label``), ``vocab_size + 1 + k`` is #k, which ends the
    spelling of a word that another one equals or goes on from (Mohri, Pereira and Riley 2002, section 3.1).

    Args:
        spellings: Of all words of the grammar.
        vocab_size: V of the model.
    """
    arcs: list[tuple[int, int, int, int, float]] = []
    begin, after = (2, 1) if spellings.separator else (0, 0)
    fresh = count(3)
    if spellings.separator:
        arcs.append((0, begin, EPSILON, EPSILON, 0.0))
        _chain(arcs, after, begin, [label(token) for token in spellings.separator], EPSILON, 0.0, fresh)
    # The backoff symbol goes right behind a word, and nowhere else, so that there is one way for it.
    arcs += [(state, state, vocab_size + 1, spellings.backoff_label, 0.0) for state in {0, after}]
    marks = _marks(spellings)
    for word, number in spellings.ids.items():
        for spelling, cost in spellings.words[word].items():
            labels = [label(token) for token in spelling]
            if mark := marks.get((word, spelling)):
                labels.append(vocab_size + 1 + mark)
            _chain(arcs, begin, after, labels, number, cost, fresh)
    return Wfst.from_arcs(np.array(arcs), {0: 0.0, after: 0.0})


def _chain(arcs: list, source: int, target: int, ilabels: list[int], olabel: int, cost: float, fresh: count) -> None:
    for ilabel in ilabels[:-1]:
        state = next(fresh)
        arcs.append((source, state, ilabel, olabel, cost))
        source, olabel, cost = state, EPSILON, 0.0
    arcs.append((source, target, ilabels[-1], olabel, cost))


def _marks(spellings: Spellings) -> dict[tuple[str, Spelling], int]:
    """k of the #k that must end a word's spelling, where one must."""
    all_spellings = [spelling for entry in spellings.words.values() for spelling in entry]
    prefixes = {spelling[:length] for spelling in all_spellings for length in range(1, len(spelling))}
    shared = {spelling for spelling, times in collections.Counter(all_spellings).items() if times > 1} | prefixes
    marks, used = {}, collections.Counter()
    for word in spellings.ids:
        for spelling in spellings.words[word]:
            if spelling in shared:
                used[spelling] += 1
                marks[word, spelling] = used[spelling]
    return marks
