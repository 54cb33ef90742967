from __future__ import annotations

import torch

from speechkit.nn.segments import random_starts, take_segments


def test_a_frame_of_a_piece_is_at_its_hop_of_the_samples():
    hop, lens, starts = 3, torch.tensor([7, 5]), torch.tensor([2, 0])
    samples = torch.arange(2 * 7 * hop).view(2, 7 * hop, 1)
    frames = samples[:, ::hop]  # a frame is named by its first sample
    pieces = take_segments(frames, lens, starts, 4)
    wav = take_segments(samples, hop * lens, hop * starts, hop * 4)
    assert torch.equal(wav[:, ::hop], pieces)
    assert pieces[0, :, 0].tolist() == [6, 9, 12, 15]
    assert wav[0, :, 0].tolist() == list(range(6, 18))


def test_what_is_shorter_than_a_piece_ends_in_zeros_whatever_its_padding_holds():
    x = torch.ones(1, 5, 2)
    x[0, 3:] = torch.nan
    assert take_segments(x, torch.tensor([3]), torch.tensor([0]), 7).sum((0, 2)).tolist() == [2, 2, 2, 0, 0, 0, 0]


def test_starts_are_everywhere_that_a_piece_fits():
    lens = torch.tensor([6, 4, 2]).repeat(200)
    starts = random_starts(lens, 4).view(200, 3)
    assert starts[:, 0].unique().tolist() == [0, 1, 2]
    assert (starts[:, 0].bincount() > 45).all()  # of 67 each, with a deviation of 6.7
    assert (starts[:, 1:] == 0).all()
