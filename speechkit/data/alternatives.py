"""Uncertain transcripts: what a manifest says may have been said, as an n-best list or a confusion network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from lhotse.cut import Cut

from speechkit.data.batch import Slot

NBEST, NETWORK = "nbest", "confusion_network"
"""Custom fields of a supervision: ``[[weight, text], ...]``, and ``[[[weight, word], ...], ...]`` with a list per slot, in which
an empty word means that nothing was said there. Weights are natural logarithms of probabilities."""


def alternatives(cut: Cut, tokenize: Callable[[str], Sequence[int]]) -> list[Slot] | None:
    """What a cut's supervision says in one of the two fields, in tokens; None where it has neither.

    A sentence of an n-best list is tokenized as a transcript is. A word of a confusion network gets the tokens that it has
    behind the word before (with a space in front, where spaces are tokens), and in the first slot those of a first word.

    Args:
        cut: With one supervision.
        tokenize: Text to token ids.

    Raises:
        ValueError: A field is not of this form, a weight is no logarithm of a probability, or the tokenizer refuses a text; the
            message names the cut.
    """
    custom = cut.supervisions[0].custom or {}
    present = [name for name in (NBEST, NETWORK) if custom.get(name) is not None]
    if not present:
        return None
    try:
        if len(present) > 1:
            raise ValueError(f"expected one of {NBEST} and {NETWORK}, got both; keep the one to learn from")
        if NBEST in present:
            return [[(weight, _tokens(tokenize, text)) for weight, text in _pairs(NBEST, custom[NBEST])]]
        return _network(custom[NETWORK], tokenize)
    except ValueError as error:
        raise ValueError(f"cut {cut.id}: {error}") from error


def _network(field: Any, tokenize: Callable[[str], Sequence[int]]) -> list[Slot]:
    slots, before = [], ""
    for place, words in enumerate(field if isinstance(field, list) else [field]):
        pairs = _pairs(f"{NETWORK}, slot {place}", words)
        slots.append([(weight, _tokens(tokenize, word, before)) for weight, word in pairs])
        before = next((word for _, word in pairs if word), before)
    return slots


def _tokens(tokenize: Callable[[str], Sequence[int]], text: str, before: str = "") -> list[int]:
    if not text or not before:
        return list(tokenize(text)) if text else []
    head, both = list(tokenize(before)), list(tokenize(f"{before} {text}"))
    if both[: len(head)] != head:
        raise ValueError(
            f"{NETWORK}: expected a tokenizer that takes words one by one, but {before!r} has other tokens before {text!r}; "
            f"use {NBEST}, or another tokenizer"
        )
    return both[len(head) :]


def _pairs(where: str, pairs: Any) -> list[tuple[float, str]]:
    found = []
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        weight, text = pair if isinstance(pair, list | tuple) and len(pair) == 2 else (math.nan, None)
        if not isinstance(text, str) or not isinstance(weight, int | float) or not weight <= 0:  # false for NaN as well
            raise ValueError(
                f"{where}: expected pairs of a log-probability (at most 0) and a text, got {pair!r}; write the manifest again"
            )
        found.append((float(weight), text))
    if not any(weight > -math.inf for weight, _ in found):
        raise ValueError(f"{where}: expected an alternative that is possible, got {pairs!r}; write the manifest again")
    return found
