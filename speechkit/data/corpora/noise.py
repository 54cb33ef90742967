"""Background noise made from a seed, for corpora that must be the same everywhere without recordings of noise."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

NoiseKind = Literal["white", "pink", "babble"]
KINDS: tuple[NoiseKind, ...] = get_args(NoiseKind)

_EXPONENT = {"white": 0.0, "pink": 1.0, "babble": 2.0}  # the power falls with frequency to this
_SYLLABLE_RATE = 4.0  # Hz


def make_noise(kind: NoiseKind, num_samples: int, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with a root mean square of 1.

    Args:
        kind: ``white``: equal power at all frequencies. ``pink``: power falls with 1/f. ``babble``: power falls with
            1/f^2 above 100 Hz and swells at the rate of syllables, as many distant voices do.
        num_samples: L.
        sampling_rate: Hz.
        rng: Where the randomness comes from.

    Returns:
        (L,) float32.
    """
    length = max(num_samples, sampling_rate)  # a second at least, or there is nothing as slow as a syllable in it
    noise = _coloured(length, sampling_rate, _EXPONENT[kind], rng)
    if kind == "babble":
        slow = _coloured(length, sampling_rate, 0.0, rng, highest=_SYLLABLE_RATE)
        noise *= np.exp(0.5 * slow / _rms(slow))
    noise = noise[:num_samples]
    return (noise / _rms(noise)).astype(np.float32)


def _coloured(
    num_samples: int, sampling_rate: int, exponent: float, rng: np.random.Generator, highest: float = np.inf
) -> np.ndarray:
    """Gaussian noise whose power falls with frequency to the ``exponent`` from 100 Hz on; nothing above ``highest``."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequency = np.fft.rfftfreq(num_samples, 1 / sampling_rate)
    gain = np.maximum(frequency, 100.0) ** (-exponent / 2)
    gain[0] = 0.0  # no offset
    return np.fft.irfft(spectrum * gain * (frequency <= highest), num_samples)


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def add_noise(speech: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """``speech`` (L,) with ``noise`` (L,) scaled to a signal-to-noise ratio of ``snr`` dB over the whole of it."""
    gain = _rms(speech) / _rms(noise) * 10 ** (-snr / 20)
    return speech + np.float32(gain) * noise
