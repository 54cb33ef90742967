"""The likeliest CTC path of a token sequence, as searches tell it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechkit.graphs.aligner import align_ctc


def align(
    log_probs: np.ndarray, tokens: Sequence[int], blank_id: int = 0
) -> tuple[float, list[tuple[int, int]], list[float]]:
    """Score, token times and confidences of :func:`speechkit.graphs.aligner.align_ctc`."""
    found = align_ctc(log_probs, tokens, blank_id)
    return found.score, found.token_times, found.confidences
