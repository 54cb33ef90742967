"""Long utterances in overlapping pieces that are said side by side, and one waveform from them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def fold(length: int, piece: int, overlap: int) -> list[tuple[int, int]]:
    """Where pieces begin and end.

    Args:
        length: Samples of the utterance.
        piece: Samples of a piece, the last one excepted; 0 for the whole utterance as one.
        overlap: Samples that a piece shares with the next, less than ``piece``.
    """
    spans = [(0, min(length, piece or length))]
    while spans[-1][1] < length:
        start = spans[-1][1] - overlap
        spans.append((start, min(start + piece, length)))
    return spans


def unfold(wavs: Sequence[Tensor], spans: Sequence[tuple[int, int]]) -> Tensor:
    """One waveform of pieces (L_i,) at ``spans``.

    In the first half of an overlap the earlier piece is heard alone, as the later one, which knows of no past, has yet to
    find its way. In the second half it fades out as the later one fades in; both weights add up to 1.
    """
    out = wavs[0].new_zeros(spans[-1][1])
    end = 0
    for wav, (start, stop) in zip(wavs, spans, strict=True):
        overlap = end - start
        begin, fade = overlap // 2, overlap - overlap // 2
        rising = torch.sin((torch.arange(fade, dtype=wav.dtype) + 0.5) / max(fade, 1) * math.pi / 2).square()
        shared = slice(start + begin, end)
        out[shared] = (1 - rising) * out[shared] + rising * wav[begin:overlap]
        out[end:stop] = wav[overlap:]
        end = stop
    return out
