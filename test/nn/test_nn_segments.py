from __future__ import annotations

import pytest
import torch

from speechkit.nn.segments import random_starts, take_segments


@pytest.mark.parametrize("shape", [(3, 11), (3, 11, 5), (3, 11, 2, 5)])
def test_pieces_are_slices_with_silence_beyond_the_end(shape):
    x, starts = torch.randn(shape), torch.tensor([0, 4, 9])
    found = take_segments(x, starts, 5)
    assert found.shape == (3, 5, *shape[2:])
    assert torch.equal(found[0], x[0, :5]) and torch.equal(found[1], x[1, 4:9])
    assert torch.equal(found[2, :2], x[2, 9:]) and not found[2, 2:].any()


def test_a_piece_may_be_longer_than_what_there_is():
    assert take_segments(torch.ones(1, 2), torch.tensor([0]), 5).tolist() == [[1, 1, 0, 0, 0]]


def test_a_frame_of_a_piece_is_at_its_hop_of_the_samples():
    hop, lens, starts = 3, torch.tensor([7, 5]), torch.tensor([2, 0])
    samples = torch.arange(2 * 7 * hop).view(2, 7 * hop)
    frames = samples[:, ::hop]  # a frame is named by its first sample
    pieces = take_segments(frames, starts, 4, lens)
    wav = take_segments(samples, hop * starts, hop * 4, hop * lens)
    assert torch.equal(wav[:, ::hop], pieces)
    assert pieces[0].tolist() == [6, 9, 12, 15]
    assert wav[0].tolist() == list(range(6, 18))


def test_what_is_shorter_than_a_piece_ends_in_zeros_whatever_its_padding_holds():
    x = torch.ones(1, 5, 2)
    x[0, 3:] = torch.nan
    assert take_segments(x, torch.tensor([0]), 7, torch.tensor([3])).sum((0, 2)).tolist() == [2, 2, 2, 0, 0, 0, 0]


def test_starts_are_everywhere_that_a_piece_fits():
    lens = torch.tensor([6, 4, 2]).repeat(200)
    starts = random_starts(lens, 4).view(200, 3)
    assert starts[:, 0].unique().tolist() == [0, 1, 2]
    assert (starts[:, 0].bincount() > 45).all()  # of 67 each, with a deviation of 6.7
    assert (starts[:, 1:] == 0).all()
