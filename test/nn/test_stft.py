"""Short-time Fourier transforms, against torch's own."""

from __future__ import annotations

import pytest
import torch

from speechkit.nn.stft import Stft, overlap_add


@pytest.mark.parametrize(("n_fft", "hop", "win"), [(64, 10, 48), (60, 15, 60), (33, 7, 21)])
def test_it_is_the_transform_of_torch(n_fft, hop, win):
    wav = torch.randn(2, 211)
    window = torch.hann_window(win)
    padded = torch.nn.functional.pad(wav, (n_fft // 2, n_fft - n_fft // 2), mode="reflect")
    expected = torch.stft(padded, n_fft, hop, win, window, center=False, return_complex=True)
    got = Stft(n_fft, hop, win)(wav)
    torch.testing.assert_close(torch.view_as_complex(got), expected.transpose(1, 2), atol=1e-5, rtol=1e-4)
    if n_fft % 2 == 0:
        centred = torch.stft(wav, n_fft, hop, win, window, center=True, return_complex=True)
        torch.testing.assert_close(torch.view_as_complex(got), centred.transpose(1, 2), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 9, 10, 31])
def test_segments_shorter_than_the_window_have_frames_too(length):
    assert Stft(64, 10, 48)(torch.randn(2, length)).shape == (2, 1 + length // 10, 33, 2)


def test_magnitudes_have_finite_gradients_in_silence_and_are_not_below_the_floor():
    wav = torch.zeros(1, 100, requires_grad=True)
    magnitude = Stft(32, 8, 32).magnitude(wav, 1e-3)
    magnitude.log().sum().backward()
    torch.testing.assert_close(magnitude, torch.full_like(magnitude, 1e-3))
    assert wav.grad.isfinite().all()


def test_half_precision_around_it_does_not_matter():
    stft, wav = Stft(64, 10, 48), torch.randn(2, 211)
    expected = stft(wav)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(stft(wav), expected)
    assert stft(wav.bfloat16()).dtype == torch.float32


def test_a_window_longer_than_the_transform_is_refused():
    with pytest.raises(ValueError, match="win_length: expected 1 to n_fft 32 samples, got 33"):
        Stft(32, 8, 33)


@pytest.mark.parametrize(("length", "hop"), [(12, 4), (10, 5), (7, 7), (6, 1)])
def test_overlap_add_is_the_sum_of_shifted_frames(length, hop):
    frames = torch.randn(2, 5, length)
    expected = torch.zeros(2, 4 * hop + length)
    for t in range(5):
        expected[:, t * hop : t * hop + length] += frames[:, t]
    torch.testing.assert_close(overlap_add(frames, hop), expected)
