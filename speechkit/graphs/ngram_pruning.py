"""Smaller n-gram models: n-grams go whose loss changes the model least (relative entropy pruning)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from speechkit.graphs.ngram import NGram


def prune(model: NGram, threshold: float, keep: Literal["probabilities", "interpolation"] = "probabilities") -> NGram:
    """Leave out n-grams whose absence raises the perplexity by less than a share, as the model itself measures it.

    The relative entropy between the model and the one without the n-gram hw is (Stolcke 1998, equation 5)::

        D = -p(h) {p(w | h) [log p(w | h') + log b'(h) - log p(w | h)] + [log b'(h) - log b(h)] (1 - sum_v p(v | h))}

    with b(h) the backoff weight, b'(h) the one without hw, the sum over all n-grams hv that are there, and p(h) the product of
    the model's probabilities; hw goes if ``exp(D) - 1 < threshold``. The longest n-grams come first, and those that others
    begin with, and 1-grams, stay. After every history the probabilities still sum to one.

    After Kneser-Ney smoothing, whose short n-grams are no estimates of how frequent they are, p(h) is a poor guide, and
    Witten-Bell models stand pruning better (Chelba et al. 2010).

    Args:
        model: Of any smoothing.
        threshold: Relative change of the perplexity that one n-gram may cost, such as 1e-8.
        keep: ``probabilities``: those of the n-grams that stay do not change. ``interpolation``: what an n-gram had beyond
            its share of the backoff goes to the backoff weight instead, so that ``graph.interpolated()`` works for the
            pruned model as for the old one; the n-grams that stay get slightly likelier.

    Raises:
        ValueError: the threshold is negative, or the model is not interpolated where that is to be kept.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold: expected 0 or more, got {threshold}")
    kept = np.ones(len(model.symbols), dtype=bool)
    lower = _lower_probs(model)
    probs, history_probs = np.exp(model.log_probs), _history_probs(model)
    for length in range(model.order, 1, -1):
        level = model.level(length)
        needed = np.zeros(len(kept), dtype=bool)
        needed[model.prefixes[1:][kept[1:]]] = True
        change = _changes(model, level, probs, lower, history_probs)
        kept[level] = needed[level] | (np.expm1(change) >= threshold)
    if keep == "interpolation":
        return _with_remainders(_only(model, kept), _remainders(model, probs, lower)[kept])
    return _with_backoffs(_only(model, kept), probs[kept])


def _changes(
    model: NGram, level: slice, probs: np.ndarray, lower: np.ndarray, history_probs: np.ndarray
) -> np.ndarray:
    """(N,) relative entropy (nats) of leaving out each n-gram of a level."""
    histories = model.prefixes[level]
    left, left_lower = (1.0 - np.bincount(histories, part[level], len(probs))[histories] for part in (probs, lower))
    own, own_lower = probs[level], lower[level]
    backoff = model.log_backoffs[histories]
    # Rounding may leave nothing, or less, where the n-grams of a history have all the probability.
    without = np.log(np.maximum(left + own, 1e-300)) - np.log(np.maximum(left_lower + own_lower, 1e-300))
    inner = own * (np.log(own_lower) + without - model.log_probs[level]) + (without - backoff) * np.maximum(left, 0.0)
    return -history_probs[histories] * inner


def _lower_probs(model: NGram) -> np.ndarray:
    """(G,) p(w | h') of each n-gram hw; 0 for 1-grams and the empty one."""
    lower = np.zeros(len(model.symbols))
    longer = slice(int(model.level_offsets[2]), None) if model.order > 1 else slice(0, 0)
    # The history of an n-gram is a state of its own, and the state it backs off to is its longest known suffix; what
    # lies between the two has no backoff weight.
    states = model.graph.backoff_states[model.graph_states[model.prefixes[longer]]]
    lower[longer] = np.exp(model.graph.weights(states, model.symbols[longer]))
    return lower


def _history_probs(model: NGram) -> np.ndarray:
    """(G,) probability of each n-gram as the product of those of its symbols; <s> is always there."""
    log_probs = model.log_probs.copy()
    log_probs[1:][(model.prefixes[1:] == 0) & (model.symbols[1:] == model.vocabulary.sos_id)] = 0.0
    for length in range(2, model.order + 1):
        level = model.level(length)
        log_probs[level] += log_probs[model.prefixes[level]]
    return np.exp(log_probs)


def _remainders(model: NGram, probs: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """(G,) p(w | h) - backoff(h) p(w | h') of each n-gram; of 1-grams all of it."""
    shared = np.exp(model.log_backoffs[model.prefixes]) * lower
    if (shared > probs * (1 + 1e-9)).any():
        raise ValueError(
            "n-gram model: expected an interpolated one, got n-grams with less probability than their backoff alone gives; "
            "prune with keep=probabilities, or estimate the model anew"
        )
    return np.maximum(probs - shared, 0.0)


def _only(model: NGram, kept: np.ndarray) -> NGram:
    """The model with some of its n-grams; backoff weights as they were, those of histories of nothing gone."""
    before = np.concatenate([[0], np.cumsum(kept)])  # how many of those kept lie before each node
    prefixes = np.where(model.prefixes >= 0, before[model.prefixes], -1)[kept]
    offsets = before[model.level_offsets]
    is_history = np.zeros(len(prefixes), dtype=bool)
    is_history[prefixes[1:]] = True
    return replace(
        model,
        level_offsets=offsets[: np.flatnonzero(np.diff(offsets))[-1] + 2],  # a length without n-grams is none
        prefixes=prefixes,
        symbols=model.symbols[kept],
        log_probs=model.log_probs[kept],
        log_backoffs=np.where(is_history, model.log_backoffs[kept], 0.0),
    )


def _with_backoffs(model: NGram, probs: np.ndarray) -> NGram:
    """The model with the backoff weights that make the probabilities of each history sum to one."""
    for length in range(2, model.order + 1):
        level = model.level(length)
        histories, lower = model.prefixes[level], _lower_probs(model)[level]
        left, left_lower = (
            1.0 - np.bincount(histories, part, len(model.symbols)) for part in (probs[level], lower)
        )
        changed = np.unique(histories)
        backoffs = model.log_backoffs.copy()
        backoffs[changed] = np.log(np.maximum(left[changed], 1e-300)) - np.log(np.maximum(left_lower[changed], 1e-300))
        model = replace(model, log_backoffs=backoffs)
    return model


def _with_remainders(model: NGram, remainders: np.ndarray) -> NGram:
    """The interpolated model whose n-grams have these remainders."""
    for length in range(2, model.order + 1):
        level = model.level(length)
        histories = model.prefixes[level]
        left = 1.0 - np.bincount(histories, remainders[level], len(model.symbols))
        backoffs, log_probs = model.log_backoffs.copy(), model.log_probs.copy()
        changed = np.unique(histories)
        backoffs[changed] = np.log(left[changed])
        log_probs[level] = np.log(remainders[level] + left[histories] * _lower_probs(model)[level])
        model = replace(model, log_backoffs=backoffs, log_probs=log_probs)
    return model
