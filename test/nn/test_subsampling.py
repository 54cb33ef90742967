from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.subsampling import Conv2dSubsampling, make_subsampling, stack_frames
from speechkit.utils.lens import padding_mask

CASES = [("conv2d", 2), ("conv2d", 4), ("conv2d", 6), ("conv2d", 8), ("vgg", 2), ("vgg", 4), ("vgg", 8), ("stack", 1), ("stack", 3)]
F_BINS = 19


@pytest.mark.parametrize(("name", "factor"), CASES)
def test_output_lengths_are_those_of_each_utterance_alone(name, factor):
    module = make_subsampling(name, F_BINS, 4, factor)
    for length in range(1, 45):
        alone = module(torch.randn(1, length, F_BINS))
        (expected,) = module.output_lens(torch.tensor([length])).tolist()
        assert alone.shape[1] == max(expected, 1), length
        assert expected <= length / factor + 1


@pytest.mark.parametrize(("name", "factor"), CASES)
def test_padding_does_not_change_the_output(name, factor):
    torch.manual_seed(0)
    module = make_subsampling(name, F_BINS, 4, factor)
    feats, lens = torch.randn(2, 61, F_BINS), torch.tensor([61, 42])
    batched = module(feats, padding_mask(lens))
    out_lens = module.output_lens(lens)
    for b in range(2):
        alone = module(feats[b : b + 1, : lens[b]])
        torch.testing.assert_close(batched[b, : out_lens[b]], alone[0])


def test_stacking_is_a_reshape():
    feats = torch.arange(2 * 7 * 3.0).view(2, 7, 3)
    assert torch.equal(stack_frames(feats, 2), feats[:, :6].reshape(2, 3, 6))
    assert stack_frames(feats, 2)[0, 1].tolist() == [*feats[0, 2].tolist(), *feats[0, 3].tolist()]


@pytest.mark.parametrize("factor", [2, 4, 6, 8])
def test_conv2d_equals_torch_convolutions_in_channels_first_order(factor):
    torch.manual_seed(0)
    module = Conv2dSubsampling(F_BINS, 4, factor)
    feats = torch.randn(2, 43, F_BINS)
    x = feats.unsqueeze(1)
    for conv in module.convs:
        x = F.relu(F.conv2d(x, conv.weight, conv.bias, conv.stride))
    weight = module.out.weight.view(4, -1, 4)  # (D, F', C): frequency first, as the projection reads it
    expected = torch.einsum("bcsf,dfc->bsd", x, weight) + module.out.bias
    torch.testing.assert_close(module(feats), expected)


def test_a_factor_that_cannot_be_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="expected 2, 4, 6, 8 for conv2d, got 3; stack takes any"):
        make_subsampling("conv2d", 80, 8, 3)
    with pytest.raises(ValueError, match="expected 2, 4, 8 for vgg, got 6"):
        make_subsampling("vgg", 80, 8, 6)
    with pytest.raises(ValueError, match="expected one of conv2d, vgg, stack, got 'pool'"):
        make_subsampling("pool", 80, 8, 4)


def test_features_too_narrow_for_the_convolutions_are_refused():
    with pytest.raises(ValueError, match="expected features of dimension >= 15, got 13"):
        make_subsampling("conv2d", 13, 8, 8)
