from __future__ import annotations

import itertools

import numpy as np
import pytest

from speechkit.data.corpora.noise import KINDS, add_noise, make_noise

RATE = 16000


def power_slope(noise, low=200.0, high=6400.0):
    """Exponent of the power spectrum over octaves from ``low`` to ``high`` Hz."""
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(len(noise), 1 / RATE)
    edges = np.geomspace(low, high, 6)
    bands = [power[(frequency >= a) & (frequency < b)].mean() for a, b in itertools.pairwise(edges)]
    return np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(bands), 1)[0]


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -1.0), ("babble", -2.0)])
def test_power_falls_with_frequency_as_the_kind_says(kind, slope):
    noise = make_noise(kind, 10 * RATE, RATE, np.random.default_rng(1))
    assert power_slope(noise) == pytest.approx(slope, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_unit_level_and_no_offset(kind):
    noise = make_noise(kind, 12345, RATE, np.random.default_rng(1))
    assert noise.shape == (12345,)
    assert noise.dtype == np.float32
    assert np.sqrt(np.mean(noise.astype(float) ** 2)) == pytest.approx(1, abs=1e-5)
    assert abs(noise.mean()) < 0.1


def test_babble_swells_and_steady_noise_does_not():
    def swelling(kind):
        noise = make_noise(kind, 10 * RATE, RATE, np.random.default_rng(1))
        level = np.sqrt((noise.reshape(-1, RATE // 20) ** 2).mean(1))
        return level.std() / level.mean()

    assert swelling("babble") > 2 * max(swelling("white"), swelling("pink"))


@pytest.mark.parametrize("kind", KINDS)
def test_noise_follows_from_its_seed(kind):
    first, again, other = (make_noise(kind, 999, RATE, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.3


@pytest.mark.parametrize("snr", [-5.0, 0.0, 12.5, 30.0])
def test_noise_is_added_at_the_ratio_asked_for(snr):
    rng = np.random.default_rng(2)
    speech = (0.05 * np.sin(np.arange(7001) * 0.1)).astype(np.float32)
    noise = make_noise("pink", 7001, RATE, rng)
    added = add_noise(speech, noise, snr) - speech
    assert 10 * np.log10(np.mean(speech**2) / np.mean(added**2)) == pytest.approx(snr, abs=0.01)
