import pytest
import torch

from speechkit.nn.invertible_stft import InvertibleStft
from speechkit.nn.stft import overlap_add

SIZES = [(64, 16, 64), (64, 15, 64), (60, 17, 40), (21, 8, 21)]


@pytest.mark.parametrize(("n_fft", "hop_length", "win_length"), SIZES)
def test_it_is_torchs(n_fft, hop_length, win_length):
    signal = torch.randn(2, 12 * hop_length + n_fft)
    window = torch.hann_window(win_length)
    expected = torch.stft(signal, n_fft, hop_length, win_length, window, center=False, return_complex=True)
    torch.testing.assert_close(InvertibleStft(n_fft, hop_length, win_length)(signal), expected.mT)


@pytest.mark.parametrize(("n_fft", "hop_length", "win_length"), SIZES)
def test_the_inverse_gives_every_sample_that_a_window_sees(n_fft, hop_length, win_length):
    stft = InvertibleStft(n_fft, hop_length, win_length)
    signal = torch.randn(3, 12 * hop_length + n_fft)
    back = stft.inverse(stft(signal))
    seen = overlap_add(stft.window.square().expand(13, -1), stft.hop_length) >= 1e-8
    assert back.shape == signal.shape and seen.sum() >= 12 * hop_length
    torch.testing.assert_close(back[:, seen], signal[:, seen], atol=1e-4, rtol=1e-3)
    assert (back[:, ~seen] == 0).all()


def test_the_inverse_is_the_least_squares_one():
    """Of any spectra, checked with the matrix of the transform and a solver that knows nothing of windows."""
    stft = InvertibleStft(12, 5, 11).double()
    samples, bins = 4 * 5 + 12, 7
    columns = stft(torch.eye(samples, dtype=torch.float64))  # (samples, T, bins)
    twice = torch.tensor([1.0] + [2.0] * (bins - 2) + [1.0], dtype=torch.float64).sqrt()  # bins with a twin above n_fft / 2
    matrix = torch.view_as_real(columns * twice).flatten(1).T
    spectrum = torch.randn(5, bins, dtype=torch.complex128)
    spectrum[:, [0, -1]] = spectrum[:, [0, -1]].real + 0j
    expected = torch.linalg.pinv(matrix, rtol=1e-6) @ torch.view_as_real(spectrum * twice).flatten()
    torch.testing.assert_close(stft.inverse(spectrum), expected)


def test_windows_that_leave_samples_out_are_an_error():
    with pytest.raises(ValueError, match="expected hop_length < win_length <= n_fft, got 16, 16 and 32"):
        InvertibleStft(32, 16, 16)
