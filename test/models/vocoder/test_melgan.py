"""MelGAN's generator, against the number of parameters that the papers give."""

from __future__ import annotations

import torch

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.melgan import MelGan, ResidualBlock


def test_it_has_as_many_parameters_as_its_paper_says():
    generator = MelGan.Config().build(given=VocoderInput(80, 256, 22050))
    assert generator.rates == (8, 8, 2, 2)
    generator.remove_weight_norm()
    assert round(sum(parameter.numel() for parameter in generator.parameters()) / 1e6, 2) == 4.26


def test_three_blocks_hear_27_samples_without_gaps():
    generator = MelGan.Config(dim=2).build(given=VocoderInput(5, 2, 16000)).double()
    x = torch.randn(1, 2, 61, dtype=torch.double)
    before = generator.stacks[0](x)
    x[0, :, 30] += 1.0
    heard = (generator.stacks[0](x) - before)[0].abs().sum(0).nonzero().flatten().tolist()
    assert heard == list(range(30 - 13, 30 + 14))


def test_ends_are_mirrored():
    block, x = ResidualBlock(3, 2), torch.randn(1, 3, 11)
    mirrored = torch.cat([x[..., 1:].flip(-1), x, x[..., :-1].flip(-1)], dim=-1)
    torch.testing.assert_close(block(x), block(mirrored)[..., 10:21])
