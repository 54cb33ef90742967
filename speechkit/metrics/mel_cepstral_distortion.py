"""Mel-cepstral distortion: how far two voices' spectral envelopes are apart, in dB.

Everything here means by cepstra ``c_m`` those of ``ln |H(w)| = c_0 + sum_m c_m cos(m w)``, amplitude and natural logarithm,
over a frequency axis warped to mels. By Parseval the distortion is then the root mean square, over that axis, of the
difference of the two envelopes in dB, smoothed to ``NUM_CEPS`` coefficients and without c_0, the loudness. Numbers from
:func:`cepstra_of_log_mel` and from :func:`cepstra_of_spectrum` must not be compared with each other, nor those with an
alignment and those without.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from speechkit.metrics.dtw import dtw

NUM_CEPS = 24
"""Coefficients 1 to 24 (Kubichek 1993)."""


def mel_cepstral_distortion(ref: np.ndarray, hyp: np.ndarray, path: np.ndarray | None = None) -> float:
    """The mean over frames of ``10 / ln 10 sqrt(2 sum_m (c_m - c'_m)^2)``, in dB (Kubichek 1993).

    Args:
        ref: (T, D) cepstra, without c_0.
        hyp: (S, D) cepstra.
        path: (P, 2) pairs of frames, of :func:`speechkit.metrics.dtw.dtw`, over which the mean is taken; None for frame by
            frame, which asks for S = T: teacher-forced synthesis, or a vocoder's.

    Raises:
        ValueError: No frames, or different numbers of frames without a path.
    """
    if path is not None:
        ref, hyp = ref[path[:, 0]], hyp[path[:, 1]]
    if ref.shape != hyp.shape or not len(ref):
        raise ValueError(
            f"MCD: expected the same frames and coefficients, one frame or more, got {ref.shape} and {hyp.shape}; "
            "give the path of dtw(ref, hyp) where durations differ"
        )
    difference = np.asarray(ref, dtype=np.float64) - np.asarray(hyp, dtype=np.float64)
    return float(np.mean(10 / math.log(10) * np.sqrt(2 * np.square(difference).sum(axis=1))))


def aligned_mel_cepstral_distortion(ref: np.ndarray, hyp: np.ndarray) -> float:
    """:func:`mel_cepstral_distortion` along the path of dynamic time warping over the same cepstra (MCD-DTW), in dB."""
    return mel_cepstral_distortion(ref, hyp, dtw(ref, hyp))


def cepstra_of_log_mel(log_mel: np.ndarray, num_ceps: int = NUM_CEPS) -> np.ndarray:
    """Mel cepstra of a mel spectrogram: ``c_m = 2 / F sum_f x_f cos(pi m (f + 1/2) / F)``, m = 1 ... num_ceps.

    The warping is that of the mel filters; their width smooths the envelope, harmonics of high voices remain.

    Args:
        log_mel: (T, F) natural logarithms of amplitudes, such as the features of ``HifiganMel``; half those of powers.
        num_ceps: Coefficients, less than F.

    Returns:
        (T, num_ceps).

    Raises:
        ValueError: There are too few mel bins.
    """
    num_mel_bins = log_mel.shape[1]
    if num_ceps >= num_mel_bins:
        raise ValueError(f"mel cepstra: expected more mel bins than coefficients, got {num_mel_bins} for {num_ceps}")
    angles = np.pi / num_mel_bins * np.outer(np.arange(num_mel_bins) + 0.5, np.arange(1, num_ceps + 1))
    return np.asarray(log_mel, dtype=np.float64) @ (2 / num_mel_bins * np.cos(angles))


def cepstra_of_spectrum(power: np.ndarray, warping: float, num_ceps: int = NUM_CEPS) -> np.ndarray:
    """Mel cepstra of power spectra: WORLD's envelopes (CheapTrick's), or periodograms. The numbers of SPTK's ``sp2mc``.

    ``c_m = 2 / pi int_0^pi ln |H(w)| cos(m v(w)) v'(w) dw``, with the phase of an all-pass filter as the warping,
    ``v(w) = w + 2 atan(a sin w / (1 - a cos w))`` (Oppenheim and Johnson 1972).

    Args:
        power: (T, n_fft // 2 + 1), greater than 0, from 0 Hz to half the sampling rate; n_fft even.
        warping: a in [0, 1). ESPnet's are 0.42 for 16 kHz, 0.45 for 22.05 kHz, 0.46 for 24 kHz and 0.55 for 48 kHz.
        num_ceps: Coefficients.

    Returns:
        (T, num_ceps).

    Raises:
        ValueError: A power is not greater than 0, or not finite.
    """
    power = np.asarray(power, dtype=np.float64)
    if not (np.isfinite(power).all() and (power > 0).all()):
        raise ValueError("mel cepstra: expected powers greater than 0, got others; add what the quietest sample has, 1e-10")
    return 0.5 * np.log(power) @ _warped_cosines(power.shape[1], warping, num_ceps)


@functools.lru_cache(maxsize=8)
def _warped_cosines(bins: int, warping: float, num_ceps: int) -> np.ndarray:
    """The integral over w as a sum over the bins, which for periodic functions is exact: (bins, num_ceps)."""
    w = np.linspace(0, np.pi, bins)
    v = w + 2 * np.arctan(warping * np.sin(w) / (1 - warping * np.cos(w)))
    slope = (1 - warping**2) / (1 - 2 * warping * np.cos(w) + warping**2)
    step = np.full(bins, np.pi / (bins - 1))
    step[[0, -1]] /= 2
    return 2 / np.pi * (step * slope)[:, None] * np.cos(np.outer(v, np.arange(1, num_ceps + 1)))
