from __future__ import annotations

import pytest
import torch

from speechkit.nn.segments import take_segments


@pytest.mark.parametrize("shape", [(3, 11), (3, 11, 5), (3, 11, 2, 5)])
def test_pieces_are_slices_with_silence_beyond_the_end(shape):
    x, starts = torch.randn(shape), torch.tensor([0, 4, 9])
    found = take_segments(x, starts, 5)
    assert found.shape == (3, 5, *shape[2:])
    assert torch.equal(found[0], x[0, :5]) and torch.equal(found[1], x[1, 4:9])
    assert torch.equal(found[2, :2], x[2, 9:]) and not found[2, 2:].any()


def test_a_piece_may_be_longer_than_what_there_is():
    assert take_segments(torch.ones(1, 2), torch.tensor([0]), 5).tolist() == [[1, 1, 0, 0, 0]]
