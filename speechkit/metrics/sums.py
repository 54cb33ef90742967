"""Sums over what was compared in an utterance."""

from __future__ import annotations

import dataclasses
from typing import Self


class Sums:
    """A dataclass of numbers; those of utterances add up to those of a test set, from which ratios are made."""

    def __add__(self, other: Self) -> Self:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return type(self)(*(one + another for one, another in pairs))
