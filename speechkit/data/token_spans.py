"""Where tokens lie in time, as something heard them, becomes the frames that each of them has."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

from speechkit.text.punctuation import MARKS
from speechkit.text.spoken import BOUNDARY

PAUSES = frozenset((" ", BOUNDARY, *MARKS))
"""Tokens that are no sounds: they have the silence, if there is any."""

Span = tuple[float, float]


def spans_of_tokens(tokens: Sequence[str], heard: Sequence[str], spans: Sequence[Span]) -> list[Span | None] | None:
    """The span of each of a voice's tokens in the spans of those that a recogniser heard.

    Args:
        tokens: U names.
        heard: H names, the same but for pauses that only one of them has.
        spans: H times of begin and end.

    Returns:
        U spans, None for pauses that were not heard; or None, if other things were heard than sounds of ``tokens``.
    """
    if list(tokens) == list(heard):
        return list(spans)
    sounds = [(name, span) for name, span in zip(heard, spans, strict=True) if name not in PAUSES]
    if [name for name in tokens if name not in PAUSES] != [name for name, _ in sounds]:
        return None
    remaining = iter(sounds)
    return [None if name in PAUSES else next(remaining)[1] for name in tokens]


def frames_of_spans(
    tokens: Sequence[str], spans: Sequence[Span | None], frame_shift: float, num_frames: int
) -> np.ndarray:
    """Frames (U,) int32 of each token, which add up to ``num_frames``.

    Between two sounds, the border is in the middle of what neither of them was heard in. Beside a pause, a sound goes on for
    as long as sounds of this utterance usually do (the median over the borders between sounds): networks that mark a sound
    in a frame or two are silent about most of it. The rest is the pause's. What is before the first token and behind the
    last one is theirs.

    Args:
        tokens: U names, at least one.
        spans: U times of begin and end in seconds, in order and not overlapping; None for pauses that were not heard.
        frame_shift: Seconds.
        num_frames: T.
    """
    placed = _placed(spans)
    pauses = [name in PAUSES for name in tokens]
    gaps = [(a[1], b[0], p, q) for a, b, p, q in zip(placed, placed[1:], pauses, pauses[1:])]
    rests = [(begin - end) / 2 for end, begin, p, q in gaps if not p and not q]
    usual = median(rests) if rests else 0.0
    ends = np.array([_border(*gap, usual) for gap in gaps])
    frames = np.rint(ends / frame_shift).astype(np.int64).clip(0, num_frames)
    return np.diff(np.maximum.accumulate(frames), prepend=0, append=num_frames).astype(np.int32)


def _placed(spans: Sequence[Span | None]) -> list[Span]:
    """``spans`` with one without length for each None, in the middle between its neighbours."""
    known = [i for i, span in enumerate(spans) if span is not None]
    found = []
    for i, span in enumerate(spans):
        if span is None:
            before = [spans[k][1] for k in known if k < i][-1:]
            after = [spans[k][0] for k in known if k > i][:1]
            around = [*before, *after]  # at the edges, beside the one neighbour
            span = (sum(around) / len(around),) * 2
        found.append(span)
    return found


def _border(end: float, begin: float, from_pause: bool, to_pause: bool, usual: float) -> float:
    """Where one token ends, which was heard until ``end``, and the next one begins, which was heard from ``begin`` on."""
    if from_pause == to_pause:
        return (end + begin) / 2
    return max(begin - usual, end) if from_pause else min(end + usual, begin)
