"""The discriminator of Parallel WaveGAN."""

from __future__ import annotations

import torch

from speechkit.models.discriminator.parallel_wavegan import ParallelWaveGanDiscriminator


def test_each_sample_has_a_score_that_hears_38_samples_to_both_sides():
    discriminator, wav = ParallelWaveGanDiscriminator.Config(dim=3).build().double(), torch.randn(1, 101, dtype=torch.double)
    ((before, maps),) = discriminator(wav)
    assert before.shape == (1, 101) and len(maps) == 9
    wav[0, 50] += 1.0
    ((after, _),) = discriminator(wav)
    heard = (after - before)[0].nonzero().flatten().tolist()
    assert heard == list(range(50 - 38, 50 + 39))  # 1 + (1 + 2 + ... + 8) + 1


def test_it_has_the_parameters_of_its_layers():
    discriminator = ParallelWaveGanDiscriminator.Config().build()
    kernels, biases, lengths = 64 * 3 + 8 * 64 * 64 * 3 + 64 * 3, 9 * 64 + 1, 9 * 64 + 1
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == kernels + biases + lengths
