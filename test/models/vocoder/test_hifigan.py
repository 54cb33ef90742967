"""HiFi-GAN's generator, against the numbers of its paper."""

from __future__ import annotations

import pytest
import torch

from speechkit.config import ConfigError, validate
from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.hifigan import HifiGan

GIVEN = VocoderInput(feat_dim=80, hop_length=256, sampling_rate=22050)
V3 = {"dim": 256, "num_stages": 3, "kernel_sizes": [3, 5, 7], "dilations": [[1, 2], [2, 6], [3, 12]], "paired": False}


def build(options: dict, given: VocoderInput = GIVEN) -> HifiGan:
    return validate(HifiGan.Config, {"name": "hifigan", **options}).build(given=given)


@pytest.mark.parametrize(
    ("options", "millions", "rates"),
    [({}, 13.92, (8, 8, 2, 2)), ({"dim": 128}, 0.92, (8, 8, 2, 2)), (V3, 1.46, (8, 8, 4))],
    ids=["V1", "V2", "V3"],
)
def test_it_has_as_many_parameters_as_table_1_of_the_paper_says(options, millions, rates):
    generator = build(options)
    generator.remove_weight_norm()
    count = sum(parameter.numel() for parameter in generator.parameters())
    assert count // 10_000 == round(100 * millions)  # the paper cuts the digits off
    assert generator.rates == rates


def test_frames_are_heard_as_far_as_the_kernels_reach():
    options = {"dim": 8, "upsample_rates": [3, 2], "kernel_sizes": [3, 5], "dilations": [[1, 3], [2]]}
    generator, feats = build(options, VocoderInput(5, 6, 16000)).double(), torch.randn(1, 41, 5, dtype=torch.double)
    before = generator(feats)
    feats[0, 20] += 1.0
    heard = (generator(feats) - before)[0].nonzero().flatten()
    # Blocks: (1 + 1) + (3 + 1) = 6 of kernel 3, 2 * (2 + 1) = 6 of kernel 5; transposed convolutions: see theirs.
    first, last = 20 - 3, 20 + 3
    for rate in (3, 2):
        first, last = first * rate - rate // 2 - rate % 2 - 6, last * rate + 2 * rate - 1 - rate // 2 - rate % 2 + 6
    assert (heard[0], heard[-1]) == (first - 3, last + 3)


def test_blocks_are_averaged():
    generator, x = build({"dim": 8, "upsample_rates": [2, 2]}, VocoderInput(5, 4, 16000)), torch.randn(1, 8, 9)
    stage = generator.stages[0]
    upsampled = stage.upsample(torch.where(x > 0, x, 0.1 * x))
    expected = torch.stack([block(upsampled) for block in stage.blocks]).mean(0)
    torch.testing.assert_close(stage(x), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_sizes": [3, 4, 7]}, r"kernel_sizes: expected odd numbers, got \[3, 4, 7\]"),
        ({"kernel_sizes": [3, 7]}, "dilations: expected a list for each of 2 kernel_sizes"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build(options)


def test_a_width_that_stages_cannot_halve_is_refused():
    with pytest.raises(ValueError, match=r"hifigan.dim: expected a multiple of 16, .* got 100; try 112"):
        build({"dim": 100})
