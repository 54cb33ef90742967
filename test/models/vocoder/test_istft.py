"""The vocoder with an inverse Fourier transform."""

from __future__ import annotations

import math

import pytest
import torch

from speechkit.features.framing import Framing
from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.istft import ConvNextBlock, InverseStft, IstftVocoder


def spectrum(frames: int, bins: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, frames, bins), 3 * torch.randn(2, frames, bins)


@pytest.mark.parametrize(("n_fft", "hop"), [(24, 6), (10, 5), (21, 7), (16, 8)])
@pytest.mark.parametrize("frames", [1, 2, 9])
def test_it_is_the_overlap_add_that_a_loop_makes(n_fft, hop, frames):
    log_magnitude, phase = spectrum(frames, n_fft // 2 + 1)
    window = torch.hann_window(n_fft)
    total, weight = torch.zeros(2, (frames - 1) * hop + n_fft), torch.zeros((frames - 1) * hop + n_fft)
    for t in range(frames):
        frame = torch.fft.irfft(log_magnitude[:, t].exp() * torch.exp(1j * phase[:, t]), n=n_fft)
        total[:, t * hop : t * hop + n_fft] += frame * window
        weight[t * hop : t * hop + n_fft] += window**2
    first = (n_fft - hop) // 2
    kept = slice(first, first + frames * hop)
    got = InverseStft(n_fft, hop)(log_magnitude, phase)
    assert got.shape == (2, frames * hop)
    torch.testing.assert_close(got, total[:, kept] / weight[kept], atol=1e-5, rtol=1e-4)


def test_it_is_the_inverse_of_torch_but_for_the_edges():
    log_magnitude, phase = spectrum(11, 13)
    complex_spectrum = torch.polar(log_magnitude.exp(), phase).transpose(1, 2)
    expected = torch.istft(complex_spectrum, 24, 6, window=torch.hann_window(24), center=True, length=60)
    got = InverseStft(24, 6)(log_magnitude, phase)
    # Torch cuts n_fft / 2 = 12 samples off, we cut 9.
    torch.testing.assert_close(got[:, 12:54], expected[:, 9:51], atol=1e-4, rtol=1e-4)


def test_the_spectrum_of_a_waveform_gives_the_waveform_back():
    wav, framing = torch.randn(1, 11 * 6), Framing(24, 6, left=9)
    frames = framing.extend(wav[0]).unfold(0, 24, 6) * torch.hann_window(24)
    analysed = torch.fft.rfft(frames).unsqueeze(0)
    torch.testing.assert_close(InverseStft(24, 6)(analysed.abs().log(), analysed.angle()), wav, atol=1e-5, rtol=1e-4)


def test_half_precision_around_it_does_not_matter_and_loud_bins_are_held_back():
    inverse, (log_magnitude, phase) = InverseStft(24, 6), spectrum(5, 13)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(inverse(log_magnitude, phase), inverse(log_magnitude, phase).float())
    loud = inverse(torch.full_like(log_magnitude, 1e3), phase)
    torch.testing.assert_close(loud, inverse(torch.full_like(log_magnitude, math.log(100)), phase))


def test_it_has_as_many_parameters_as_its_sizes_say():
    generator = IstftVocoder.Config().build(given=VocoderInput(100, 256, 24000))
    block = (512 * 7 + 512) + 2 * 512 + (512 * 1536 + 1536) + (1536 * 512 + 512) + 512
    expected = (100 * 512 * 7 + 512) + 2 * 512 + 8 * block + 2 * 512 + (512 * 1026 + 1026)
    assert sum(parameter.numel() for parameter in generator.parameters()) == expected
    assert round(expected / 1e6, 1) == 13.5  # the paper's table of speeds and sizes


def test_a_block_whose_gains_are_zero_does_nothing():
    block, x = ConvNextBlock(IstftVocoder.Config(dim=6, ff_dim=10, num_layers=4)), torch.randn(2, 7, 6)
    assert (block.gain == 0.25).all() and not torch.equal(block(x), x)
    torch.nn.init.zeros_(block.gain)
    assert torch.equal(block(x), x)


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="istft.kernel_size: expected an odd number, got 6"):
        IstftVocoder.Config(kernel_size=6).build(given=VocoderInput(5, 12, 16000))
