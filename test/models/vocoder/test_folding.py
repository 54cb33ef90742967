from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from speechkit.models.vocoder.folding import fold, unfold


@pytest.mark.parametrize(("length", "piece", "overlap"), [(101, 30, 7), (101, 0, 7), (30, 30, 7), (31, 30, 7), (29, 30, 8), (0, 30, 7)])
def test_unfolding_undoes_folding(length, piece, overlap):
    wav, spans = torch.randn(length).double(), fold(length, piece, overlap)
    assert spans[0][0] == 0 and spans[-1][1] == length
    assert all(end - start <= (piece or length) for start, end in spans)
    assert all(before[1] - after[0] == overlap for before, after in pairwise(spans))
    torch.testing.assert_close(unfold([wav[start:end] for start, end in spans], spans), wav)


def test_the_later_piece_is_unheard_then_fades_in_then_is_alone():
    spans = fold(14, 10, 6)
    assert spans == [(0, 10), (4, 14)]
    out = unfold([torch.zeros(10), torch.ones(10)], spans)
    assert (out[:7] == 0).all() and (out[10:] == 1).all()
    assert (out[6:11].diff() > 0).all()
    torch.testing.assert_close(out[8], torch.tensor(0.5))
