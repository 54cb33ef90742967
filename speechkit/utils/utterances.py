"""Errors about one utterance of a batch: raised by index where ids are not known, shown by id where they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence


class UtteranceError(ValueError):
    """One utterance of a batch cannot be used.

    Args:
        index: Its place in the batch.
        problem: What was expected, what was found, and the remedy.
    """

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(f"utterance {index} of the batch: {problem}")
        self.index = index
        self.problem = problem


@contextlib.contextmanager
def named(ids: Sequence[str]) -> Iterator[None]:
    """Within the block an :class:`UtteranceError` becomes a ``ValueError`` that names the cut.

    Args:
        ids: Of the batch's cuts.
    """
    try:
        yield
    except UtteranceError as error:
        raise ValueError(f"cut {ids[error.index]}: {error.problem}") from error
