"""The multi-resolution spectrogram discriminator."""

from __future__ import annotations

import torch

from speechkit.models.discriminator.multi_resolution import MultiResolution

RESOLUTIONS = ((64, 10, 48), (32, 8, 32))


def scores(wav: torch.Tensor, **options) -> list[torch.Tensor]:
    torch.manual_seed(0)
    discriminator = MultiResolution.Config(resolutions=RESOLUTIONS, dim=3, **options).build().eval()
    return [score for score, _ in discriminator(wav)]


def test_spectrograms_grow_shorter_in_time_and_keep_their_bins():
    shapes = [each.shape for each in scores(torch.randn(2, 317))]
    assert shapes == [(2, 4, 33), (2, 5, 17)]  # of 32 and of 40 frames


def test_magnitudes_do_not_hear_the_sign_of_a_waveform_and_complex_spectra_do():
    wav = torch.randn(2, 317)
    for heard, flipped in zip(scores(wav), scores(-wav), strict=True):
        torch.testing.assert_close(heard, flipped)
    for heard, flipped in zip(scores(wav, spectrum="complex"), scores(-wav, spectrum="complex"), strict=True):
        assert not torch.allclose(heard, flipped, atol=1e-3)


def test_the_default_has_as_many_parameters_as_its_kernels_say():
    with torch.device("meta"):
        discriminator = MultiResolution.Config().build()
    kernels = 32 * 27 + 3 * 32 * 32 * 27 + 32 * 32 * 9 + 32 * 9
    biases, lengths = 5 * 32 + 1, 5 * 32 + 1
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 3 * (kernels + biases + lengths)
