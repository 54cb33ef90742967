from __future__ import annotations

import pytest
import torch

from speechkit.features.spec_augment import SpecAugment, SpecAugmentConfig

OFF = {"time_warp": 0, "num_time_masks": 0, "num_freq_masks": 0}


def augment(feats: torch.Tensor, lens: torch.Tensor, seed: int = 0, **options) -> torch.Tensor:
    module = SpecAugment(SpecAugmentConfig(**{**OFF, **options})).train()
    return module(feats, lens, torch.Generator().manual_seed(seed))


def batch(num_frames: int = 97, dim: int = 13, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    feats = 5 + torch.randn(rows, num_frames, dim, generator=torch.Generator().manual_seed(1))
    lens = torch.tensor([num_frames, num_frames - 30] * (rows // 2))
    feats[1::2, num_frames - 30 :] = 0
    return feats, lens


def runs(hidden: torch.Tensor) -> list[int]:
    """Lengths of the stretches of True in a row."""
    text = "".join("x" if value else " " for value in hidden.tolist())
    return [len(word) for word in text.split()]


def test_nothing_happens_outside_training_or_when_all_is_off():
    feats, lens = batch()
    assert SpecAugment(SpecAugmentConfig()).eval()(feats, lens) is feats
    assert torch.equal(augment(feats, lens), feats)


def test_the_generator_decides():
    feats, lens = batch()
    first, again, other = (augment(feats, lens, seed, time_warp=5, num_time_masks=2) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    torch.manual_seed(3)
    free = SpecAugment(SpecAugmentConfig()).train()
    once = free(feats, lens)
    torch.manual_seed(3)
    assert torch.equal(free(feats, lens), once)


def test_the_input_is_left_alone_and_padding_stays_zero():
    feats, lens = batch()
    before = feats.clone()
    for fill in ("mean", "zero"):
        masked = augment(feats, lens, time_warp=8, num_time_masks=9, num_freq_masks=3, fill=fill, max_freq_mask=9)
        assert torch.equal(feats, before)
        assert masked.shape == feats.shape and (masked[1, 67:] == 0).all()


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_a_time_mask_hides_whole_frames_up_to_the_limit(limit):
    feats, lens = batch(rows=400)
    masked = augment(feats, lens, num_time_masks=1, max_time_mask=limit, max_time_ratio=1.0, fill="zero")
    hidden = (masked == 0) & (feats != 0)
    assert torch.equal(hidden.any(2), hidden.all(2))  # whole frames
    widths = [run for row in hidden.any(2) for run in runs(row) or [0]]
    assert len(widths) == 400  # one stretch each
    assert set(widths) == set(range(limit + 1))  # all widths occur, none is longer


def test_a_time_mask_is_at_most_its_part_of_the_utterance():
    feats, lens = batch(rows=400)
    masked = augment(feats, lens, num_time_masks=1, max_time_mask=100, max_time_ratio=0.1, fill="zero")
    widths = ((masked == 0) & (feats != 0)).any(2).sum(1)
    assert widths[0::2].max() == 9 and widths[1::2].max() == 6  # of 97 and of 67 frames


def test_time_masks_reach_every_frame_of_the_utterance():
    feats, lens = batch(rows=2000)
    masked = augment(feats, lens, num_time_masks=1, max_time_mask=9, max_time_ratio=1.0, fill="zero")
    hidden = ((masked == 0) & (feats != 0)).any(2)
    assert hidden[0::2].any(0).all() and hidden[1::2, :67].any(0).all()


def test_a_frequency_mask_hides_whole_bins_up_to_the_limit():
    feats, lens = batch(rows=400)
    masked = augment(feats, lens, num_freq_masks=1, max_freq_mask=4, fill="zero")
    hidden = (masked == 0) & (feats != 0)
    bands = hidden.any(1)
    assert torch.equal(hidden.sum((1, 2)), bands.sum(1) * lens)  # whole bins, in all frames but the padding
    assert {run for row in bands for run in runs(row) or [0]} == set(range(5))
    assert bands.any(0).all()


def test_several_masks_hide_more_than_one():
    feats, lens = batch(rows=400)
    one, four = (augment(feats, lens, num_time_masks=count, max_time_mask=5, fill="zero") for count in (1, 4))
    assert (four == 0).float().mean() > (one == 0).float().mean() + 0.05


def test_a_band_wider_than_the_features_is_cut_to_them():
    feats, lens = batch()
    assert augment(feats, lens, num_freq_masks=1, max_freq_mask=50).shape == feats.shape


def test_hidden_values_become_the_utterances_mean():
    feats, lens = batch()
    masked = augment(feats, lens, num_freq_masks=9, max_freq_mask=6)
    for row, length in enumerate(lens.tolist()):
        changed = masked[row, :length][masked[row, :length] != feats[row, :length]]
        assert len(changed) > 0
        torch.testing.assert_close(changed, feats[row, :length].mean().expand_as(changed))


def test_warping_moves_frames_by_at_most_its_reach_and_keeps_their_order():
    lens = torch.tensor([97, 67] * 100)
    time = torch.arange(97.0).view(1, -1, 1).expand(200, 97, 3)
    warped = augment(time, lens, time_warp=6)
    moved = False
    for row, length in zip(warped, lens.tolist(), strict=True):
        source = row[:length, 0]
        assert (source.diff() >= 0).all() and source[0] < 0.5 + 6 and source[-1] > length - 1 - 0.5 - 6
        assert source.min() >= 0 and source.max() <= length - 1
        reach = (source - torch.arange(length)).abs().max()
        assert reach <= 6.01
        moved |= bool(reach > 4)
    assert moved


def test_warping_stretches_one_side_and_shrinks_the_other_like_interpolation():
    feats, lens = batch(rows=2)
    feats, lens = feats[:1], lens[:1]
    warped = augment(feats, lens, time_warp=9, seed=4)
    source = augment(torch.arange(97.0).view(1, -1, 1), lens, time_warp=9, seed=4)[0, :, 0]
    slopes = source.diff()[5:-5]
    assert slopes.min() < 0.99 and slopes.max() > 1.01
    for frame in (10, 50, 90):
        low = int(source[frame])
        share = source[frame] - low
        expected = feats[0, low] * (1 - share) + feats[0, low + 1] * share
        torch.testing.assert_close(warped[0, frame], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("length", [0, 1, 5, 11])
def test_an_utterance_too_short_to_warp_stays_as_it_is(length):
    feats = torch.randn(1, 12, 3)
    feats[0, length:] = 0
    assert torch.equal(augment(feats, torch.tensor([length]), time_warp=5), feats)
    assert augment(feats, torch.tensor([length]), time_warp=5, num_time_masks=3).isfinite().all()


def test_gradients_flow_through_what_is_not_hidden():
    feats, lens = batch()
    feats.requires_grad_()
    augment(feats, lens, num_time_masks=2, max_time_mask=9, fill="zero", max_time_ratio=1.0).sum().backward()
    hidden = (feats.grad == 0).all(2)
    assert hidden[0].any() and (feats.grad[0][~hidden[0]] == 1).all()
