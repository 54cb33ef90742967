import math

import numpy as np
import pytest

from speechkit.metrics.dtw import dtw
from speechkit.metrics.mel_cepstral_distortion import (
    aligned_mel_cepstral_distortion,
    cepstra_of_log_mel,
    cepstra_of_spectrum,
    mel_cepstral_distortion,
)


def warp_recursively(cepstrum, order, warping):
    """Oppenheim and Johnson's recursion for the all-pass transform of a causal sequence, as in SPTK's ``freqt``."""
    out = np.zeros(order + 1)
    for value in cepstrum[::-1]:
        before = out.copy()
        out[0] = value + warping * before[0]
        out[1] = (1 - warping**2) * before[0] + warping * before[1]
        for m in range(2, order + 1):
            out[m] = before[m - 1] + warping * (before[m] - out[m - 1])
    return out


def test_one_coefficient_has_the_closed_form():
    ref, hyp = np.zeros((1, 24)), np.zeros((1, 24))
    hyp[0, 7] = 0.5
    assert mel_cepstral_distortion(ref, hyp) == pytest.approx(10 / math.log(10) * math.sqrt(2) * 0.5)
    assert mel_cepstral_distortion(ref, hyp) == pytest.approx(6.141851463713754 * 0.5)


def test_it_is_the_distance_of_the_envelopes_in_decibel():
    source = np.random.default_rng(0)
    ref, hyp = source.normal(size=(2, 11, 40))
    decibel = 20 / math.log(10) * (ref - hyp)
    decibel -= decibel.mean(axis=1, keepdims=True)  # loudness does not count
    # With all coefficients but the first nothing is smoothed; the last, m = 39, is a full one, for F = 40 has m < 40.
    found = mel_cepstral_distortion(cepstra_of_log_mel(ref, 39), cepstra_of_log_mel(hyp, 39))
    assert found == pytest.approx(np.sqrt(np.square(decibel).mean(axis=1)).mean())


def test_loudness_does_not_count():
    ref = np.random.default_rng(0).normal(size=(9, 80))
    assert mel_cepstral_distortion(cepstra_of_log_mel(ref), cepstra_of_log_mel(ref + 3.0)) == pytest.approx(0, abs=1e-9)
    power = np.exp(np.random.default_rng(1).normal(size=(5, 129)))
    found = mel_cepstral_distortion(cepstra_of_spectrum(power, 0.42), cepstra_of_spectrum(4 * power, 0.42))
    assert found == pytest.approx(0, abs=1e-6)


def test_a_cosine_over_the_mel_axis_is_one_coefficient():
    bins = (np.arange(80) + 0.5) / 80
    log_mel = 0.7 + 0.3 * np.cos(np.pi * 5 * bins)[None]
    expected = np.zeros((1, 24))
    expected[0, 4] = 0.3
    np.testing.assert_allclose(cepstra_of_log_mel(log_mel), expected, atol=1e-12)


@pytest.mark.parametrize("warping", [0.0, 0.42, 0.55])
def test_warped_cepstra_are_those_of_the_recursion(warping):
    source = np.random.default_rng(0)
    power = np.exp(source.normal(size=(3, 257)))
    cepstra = np.fft.irfft(np.log(power))[:, :257]  # sp2mc: twice the cepstrum of the amplitude, but for the first
    cepstra[:, 0] /= 2
    cepstra[:, -1] /= 2  # its twin is itself
    expected = np.stack([warp_recursively(each, 24, warping)[1:] for each in cepstra])
    np.testing.assert_allclose(cepstra_of_spectrum(power, warping), expected, atol=1e-9)


def test_the_warped_axis_is_nearly_that_of_mels():
    """A cosine over the mel axis, read off at the FFT bins, is mostly one coefficient of the all-pass warping, too."""
    hertz = np.linspace(0, 8000, 513)
    mel = np.log1p(hertz / 700) / np.log1p(8000 / 700)
    log_amplitude = 0.3 * np.cos(np.pi * 4 * mel)[None]
    found = cepstra_of_spectrum(np.exp(2 * log_amplitude), 0.42)[0]
    unwarped = cepstra_of_spectrum(np.exp(2 * log_amplitude), 0.0)[0]
    assert found[3] == pytest.approx(0.3, abs=0.05) and np.square(np.delete(found, 3)).sum() < 0.3 * found[3] ** 2
    assert abs(unwarped[3]) < 0.15


def test_durations_do_not_count_once_aligned():
    frames = np.random.default_rng(0).normal(size=(17, 24))
    slow = frames.repeat(2, axis=0)
    assert aligned_mel_cepstral_distortion(frames, slow) == pytest.approx(0, abs=1e-9)
    other = np.roll(frames, 1, axis=0) + 0.1 * np.random.default_rng(1).normal(size=(17, 24))
    path = dtw(frames, other)
    by_hand = np.mean([mel_cepstral_distortion(frames[t : t + 1], other[s : s + 1]) for t, s in path])
    assert aligned_mel_cepstral_distortion(frames, other) == pytest.approx(by_hand)
    assert aligned_mel_cepstral_distortion(frames, other) < mel_cepstral_distortion(frames, other)


def test_input_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"got \(3, 24\) and \(4, 24\); give the path of dtw"):
        mel_cepstral_distortion(np.ones((3, 24)), np.ones((4, 24)))
    with pytest.raises(ValueError, match="more mel bins than coefficients, got 23 for 24"):
        cepstra_of_log_mel(np.ones((3, 23)))
    with pytest.raises(ValueError, match="expected powers greater than 0"):
        cepstra_of_spectrum(np.zeros((3, 129)), 0.42)
