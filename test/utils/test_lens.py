from __future__ import annotations

import torch

from speechkit.utils.lens import pad_stack, padding_mask


def test_the_mask_is_true_at_padding():
    assert padding_mask(torch.tensor([3, 0, 2])).tolist() == [[False] * 3, [True] * 3, [False, False, True]]
    assert padding_mask(torch.tensor([1]), max_len=2).tolist() == [[False, True]]


def test_stacking_pads_with_the_given_value():
    stacked, lens = pad_stack([torch.ones(2, 3), torch.ones(1, 3)], value=-1.0)
    assert stacked.shape == (2, 2, 3) and lens.tolist() == [2, 1] and stacked[1, 1].tolist() == [-1.0] * 3
