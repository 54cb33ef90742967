"""The multi-scale discriminators."""

from __future__ import annotations

import pytest
import torch

from speechkit.models.discriminator.multi_scale import MultiScale, hifigan_scale, melgan_scale


def test_each_scale_hears_averages_of_what_the_scale_before_it_hears():
    wav = torch.randn(2, 128)
    for style in ("hifigan", "melgan"):
        discriminator = MultiScale.Config(style=style, dim=256).build().eval()
        judgements = discriminator(wav)
        # Sample i of the next scale is the mean of the four samples around 2 i - 1/2 (hifigan) and 2 i + 1/2 (melgan).
        first = -2 if style == "hifigan" else -1
        padded = torch.cat([torch.zeros(2, 2), wav, torch.zeros(2, 2)], dim=1)
        count = 65 if style == "hifigan" else 64
        means = torch.stack([padded[:, 2 + first + 2 * i : 2 + first + 2 * i + 4].mean(1) for i in range(count)], dim=1)
        if style == "melgan":  # which leaves out what lies beyond the ends
            means[:, 0], means[:, -1] = wav[:, :3].mean(1), wav[:, -3:].mean(1)
        torch.testing.assert_close(judgements[1][0], discriminator.networks[1](means.unsqueeze(1))[0])
        assert len(judgements) == 3


def test_the_first_network_of_hifigan_is_spectrally_normalised_and_the_others_have_lengths():
    discriminator = MultiScale.Config(dim=256).build()
    for _ in range(30):  # power iterations
        discriminator(torch.randn(1, 128))
    for conv in discriminator.networks[0].convs:
        assert abs(torch.linalg.matrix_norm(conv.weight.flatten(1), 2) - 1) < 0.05
    assert all(
        "original1" in dict(conv.parametrizations.weight.named_parameters()) for conv in discriminator.networks[1].convs
    )


@pytest.mark.parametrize(
    ("make", "count"), [(hifigan_scale, 29_610_627 // 3), (melgan_scale, 16_913_859 // 3)], ids=["hifigan", "melgan"]
)
def test_a_network_has_the_parameters_of_the_published_implementation(make, count):
    with torch.device("meta"):  # jik876/hifi-gan and descriptinc/melgan-neurips have three
        assert sum(parameter.numel() for parameter in make(1024).parameters()) == count


def test_scores_are_64_samples_apart_in_hifigan_and_256_in_melgan():
    x = torch.randn(1, 1, 1024)
    assert hifigan_scale(256)(x)[0].shape == (1, 16)
    assert melgan_scale(256)(x)[0].shape == (1, 4)
