"""N-gram models from text: interpolated modified Kneser-Ney and Witten-Bell smoothing, with count cut-offs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from speechkit.graphs.ngram import NGram
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.log import warn

Discounts = tuple[float, float, float]
"""What is taken from the counts 1, 2, and 3 or more."""


def estimate(
    sentences: Iterable[Sequence[int]],
    vocabulary: Vocabulary,
    order: int,
    smoothing: Literal["kneser_ney", "witten_bell"] = "kneser_ney",
    min_counts: Sequence[int] = (),
    discount_fallback: Discounts | None = (0.5, 1.0, 1.5),
) -> NGram:
    """An interpolated n-gram model; after every history the probabilities of all symbols but the blank sum to one.

    ``p(w | h) = remainder(w | h) + backoff(h) p(w | h')``, down to the uniform distribution over all symbols. With c(hw) the
    number of times that w followed h and T(h) the number of different symbols that did:

    * Witten-Bell (Witten and Bell 1991, method C): ``remainder = c(hw) / (c(h) + T(h))``.
    * Modified Kneser-Ney (Chen and Goodman 1999, section 3): ``remainder = (a(hw) - D(a(hw))) / a(h)``, with three
      discounts for each length of n-grams. a is c for the longest n-grams and for those that begin with ``<s>``, else the
      number of different symbols that the n-gram was seen after; a(h) is its sum over w.

    N-grams below their minimal count are left out, and what they had goes to the backoff weight, so the model stays
    interpolated and ``graph.interpolated()`` works.

    Args:
        sentences: Symbol ids, without ``<s>`` and ``</s>``; empty ones count.
        vocabulary: Which symbols there are. Those that no sentence has get a share of the uniform distribution.
        order: n of the longest n-grams; 1 or more.
        smoothing: Kneser-Ney for text; Witten-Bell where there are few different symbols, or little data.
        min_counts: For the lengths 1, 2, ... how often an n-gram must occur to be kept; longer ones are taken as the last
            one given, 1 keeps all. They must not fall; 1-grams are always kept.
        discount_fallback: Taken, with a warning, for lengths where Kneser-Ney cannot find its discounts, because no n-gram
            of that length was seen once, or none twice, as happens in small corpora and with few symbols. Where only
            n-grams seen three times are missing, one discount for all counts is found instead (Kneser and Ney 1995).
            None makes all of this an error.

    Raises:
        ValueError: there are no sentences, a symbol is out of range, an option makes no sense, or there are no discounts.
    """
    if order < 1:
        raise ValueError(f"order: expected 1 or more, got {order}")
    minima = _minima(min_counts, order)
    levels = _count(sentences, vocabulary, order)
    if smoothing == "kneser_ney":
        for level, longer in itertools.pairwise(levels):
            seen_after = np.bincount(longer.suffixes, minlength=len(level.symbols))
            level.adjusted = np.where(level.from_start, level.counts, seen_after)
    model = _Builder(vocabulary)
    for length, level in enumerate(levels, start=1):
        if smoothing == "kneser_ney":
            taken = level.adjusted - _discounts(level.adjusted, length, discount_fallback)[level.adjusted.clip(max=3)]
            total = level.per_history(level.adjusted)
        else:
            taken = level.counts
            total = level.per_history(level.counts) + level.per_history(level.counts > 0)
        model.add(level, taken / total[level.prefixes].clip(min=1), total > 0, level.counts >= minima[length - 1])
    return model.finish()


@dataclass
class _Level:
    """The n-grams of one length, sorted by (prefix, symbol)."""

    prefixes: np.ndarray  # (N,) rows of the level below; for 1-grams all 0
    suffixes: np.ndarray  # (N,) rows of the level below; for 1-grams all 0
    symbols: np.ndarray  # (N,)
    counts: np.ndarray  # (N,) occurrences
    from_start: np.ndarray  # (N,) whether it begins with <s>, before which nothing can stand
    adjusted: np.ndarray  # (N,) what Kneser-Ney takes for the counts
    num_histories: int  # rows of the level below

    def per_history(self, values: np.ndarray) -> np.ndarray:
        """Sum of ``values`` (N,) over the n-grams with the same prefix."""
        return np.bincount(self.prefixes, values, minlength=self.num_histories)


class _Builder:
    """Puts the levels of a model together, shortest first."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.prefixes, self.symbols = [np.array([-1])], [np.array([-1])]
        self.log_probs, self.log_backoffs = [np.zeros(1)], []
        self.offsets = [0, 1]
        self.rows = np.zeros(1, dtype=np.int64)  # where the n-grams of the level below are, among those kept; -1: nowhere
        self.probs = np.full(1, 1.0 / (vocabulary.size - 1))  # of those kept

    def add(self, level: _Level, remainders: np.ndarray, is_history: np.ndarray, kept: np.ndarray) -> None:
        """Add the n-grams ``kept`` of a level; the others' remainders go to the backoff weights."""
        # An n-gram is no more frequent than its prefix and its suffix, and minima do not fall: those of a kept one are kept.
        kept = kept | (len(self.offsets) == 2)
        backoffs = np.where(is_history, 1.0 - level.per_history(np.where(kept, remainders, 0.0)), 1.0)
        prefixes, suffixes = self.rows[level.prefixes[kept]], self.rows[level.suffixes[kept]]
        self.log_backoffs.append(np.log(backoffs[self.rows >= 0]))
        self.probs = remainders[kept] + backoffs[level.prefixes[kept]] * self.probs[suffixes]
        self.prefixes.append(prefixes + self.offsets[-2])
        self.symbols.append(level.symbols[kept])
        self.log_probs.append(np.log(self.probs))
        self.offsets.append(self.offsets[-1] + len(prefixes))
        self.rows = np.where(kept, np.cumsum(kept) - 1, -1)

    def finish(self) -> NGram:
        """The model."""
        self.log_backoffs[0] = np.zeros(1)  # the share of the uniform distribution is in the 1-grams
        self.log_backoffs.append(np.zeros(len(self.log_probs[-1])))
        parts = (self.prefixes, self.symbols, self.log_probs, self.log_backoffs)
        return NGram(self.vocabulary, np.array(self.offsets), *(np.concatenate(part) for part in parts))


def _minima(min_counts: Sequence[int], order: int) -> list[int]:
    minima = [*min_counts, *([min_counts[-1] if min_counts else 1] * order)][:order]
    if len(min_counts) > order or minima != sorted(minima) or minima[0] < 1:
        raise ValueError(
            f"min_counts: expected at most {order} counts of 1 or more that do not fall, got {list(min_counts)}; an n-gram "
            "cannot be kept without those that it begins and ends with"
        )
    return minima


def _count(sentences: Iterable[Sequence[int]], vocabulary: Vocabulary, order: int) -> list[_Level]:
    stream, ends = _stream(sentences, vocabulary)
    first = np.diff(ends, prepend=-1) > 0  # ends rises at the first place of a sentence
    symbols = np.delete(np.arange(vocabulary.size), vocabulary.blank_id)
    nodes = np.searchsorted(symbols, stream)  # of the n-gram that begins at each place
    counts, zeros = np.bincount(nodes[~first], minlength=len(symbols)), np.zeros(len(symbols), dtype=np.int64)
    levels = [_Level(zeros, zeros, symbols, counts, zeros > 0, counts, 1)]
    for length in range(2, order + 1):
        starts = np.flatnonzero(np.arange(len(stream)) + length - 1 <= ends)
        keys = nodes[starts] * vocabulary.size + stream[starts + length - 1]
        unique, where, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        prefixes, last = np.divmod(unique, vocabulary.size)
        somewhere = starts[where]
        levels.append(
            _Level(prefixes, nodes[somewhere + 1], last, counts, first[somewhere], counts, len(levels[-1].symbols))
        )
        nodes = np.full(len(stream), -1)
        nodes[starts] = inverse
    return levels


def _stream(sentences: Iterable[Sequence[int]], vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """All sentences with <s> and </s> in one row (L,), and for each place that of the sentence's </s> (L,)."""
    sentences = [list(sentence) for sentence in sentences]
    if not sentences:
        raise ValueError("n-gram model: expected sentences to learn from, got none")
    mark = [vocabulary.sos_id]
    stream = np.array([*itertools.chain.from_iterable(mark + sentence + mark for sentence in sentences)], dtype=np.int64)
    lens = np.array([len(sentence) + 2 for sentence in sentences])
    ends = np.repeat(np.cumsum(lens) - 1, lens)
    inner = np.ones(len(stream), dtype=bool)
    inner[ends], inner[np.cumsum(lens) - lens] = False, False
    wrong = inner & ((stream < 0) | (stream >= vocabulary.eos_id) | (stream == vocabulary.blank_id))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        sentence = int(np.searchsorted(np.cumsum(lens), place, side="right"))
        raise ValueError(
            f"n-gram model: expected symbols in 0 .. {vocabulary.eos_id - 1} other than the blank {vocabulary.blank_id}, got "
            f"{stream[place]} in sentence {sentence}; give the ids that the model's tokenizer gives"
        )
    return stream, ends


def _discounts(counts: np.ndarray, length: int, fallback: Discounts | None) -> np.ndarray:
    """(4,) what is taken from the counts 0, 1, 2, and 3 or more."""
    seen = [int((counts == count).sum()) for count in (1, 2, 3, 4)]
    once, twice = seen[:2]
    if all(seen[:3]):
        share = once / (once + 2 * twice)
        modified = [k - (k + 1) * share * seen[k] / seen[k - 1] for k in (1, 2, 3)]
        if all(0 < discount <= k for k, discount in enumerate(modified, start=1)):
            return np.array([0.0, *modified])
    problem = f"Kneser-Ney: {length}-grams with counts 1, 2, 3, 4: {', '.join(map(str, seen))}, which gives no discounts"
    if fallback is None:
        raise ValueError(f"{problem}; smooth by witten_bell, or give a discount_fallback")
    remedy = "take the smoothing witten_bell, which needs none, or more text"
    if once and twice:
        single = once / (once + 2 * twice)
        warn(f"{problem}; all counts are discounted by {single:.3f}; {remedy}")
        return np.array([0.0, single, single, single])
    warn(f"{problem}; discounts are {', '.join(map(str, fallback))}; {remedy}")
    return np.array([0.0, *fallback])
