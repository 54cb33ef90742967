"""Griffin-Lim: a waveform of a mel spectrogram, or of linear magnitudes, without any training."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from speechkit.config import ComponentConfig, ConfigError
from speechkit.features.mel import HifiganMel
from speechkit.features.spectrum import constant
from speechkit.models.vocoder.base import Vocoder, VocoderInput
from speechkit.nn.invertible_stft import InvertibleStft

MEL_ITERS = 30  # by then the mel spectrogram of the magnitudes is the given one, to 1e-4 in the mean of its logarithm


class GriffinLim(Vocoder, name="griffin_lim"):
    """Griffin and Lim (1984), with the momentum of Perraudin et al. (2013): see :func:`griffin_lim`.

    Speaks the features of ``HifiganMel``; their magnitudes are those of :func:`magnitudes_of_mel`.
    """

    class Config(ComponentConfig):
        """Options of Griffin-Lim."""

        num_iters: int = Field(default=60, ge=0)
        """Iterations, of two Fourier transforms per frame each."""
        momentum: float = Field(default=0.99, ge=0, le=1)
        """How far each iteration goes on in the direction of the last; 0 is Griffin and Lim's own algorithm."""

    filters: Tensor

    def __init__(self, config: Config, given: VocoderInput) -> None:
        super().__init__(config, given)
        mel = given.featurizer
        if not isinstance(mel, HifiganMel.Config):
            raise ConfigError(
                f"vocoder.name: expected features of hifigan for griffin_lim, which has to know how they were made, got "
                f"{mel.name if mel else 'features of which only the size is known'}; use features.name=hifigan"
            )
        if mel.win_length <= mel.hop_length:
            raise ConfigError(
                f"win_length: expected more than hop_length {mel.hop_length} samples for griffin_lim, got {mel.win_length}; "
                "there must be no samples that no frame sees"
            )
        self.stft = InvertibleStft(mel.n_fft, mel.hop_length, mel.win_length)
        self.left = (mel.n_fft - mel.hop_length) // 2  # what the first frame sees before the first sample
        self.register_buffer("filters", constant(mel.filters()), persistent=False)

    def speak(self, feats: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Samples of one utterance; see :meth:`Vocoder.speak`. The first phases are drawn from ``generator``."""
        if len(feats) == 0:
            return feats.new_zeros(0)
        magnitudes = magnitudes_of_mel(feats.float().exp(), self.filters)
        start = random_phases(magnitudes, generator)
        signal = griffin_lim(magnitudes, self.stft, start, self.config.num_iters, self.config.momentum)
        return signal[self.left : self.left + len(feats) * self.given.hop_length].to(feats.dtype)


def griffin_lim(magnitudes: Tensor, stft: InvertibleStft, start: Tensor, num_iters: int, momentum: float = 0.99) -> Tensor:
    """A signal whose spectra have nearly the given magnitudes.

    With P1 the projection to the spectra that belong to a signal, and P2 that to those of the given magnitudes,
    ``t_n = P1(P2(c_{n-1}))`` and ``c_n = t_n + momentum (t_n - t_{n-1})`` (Perraudin, Balazs and Sondergaard 2013, "A fast
    Griffin-Lim algorithm", algorithm 2). Without momentum that is Griffin and Lim (1984): the distance between the
    magnitudes of ``P1(P2(c_n))`` and the given ones never grows. With it it is smaller after equally many iterations.

    Args:
        magnitudes: (..., T, bins), not negative.
        stft: What they are magnitudes of.
        start: (..., T, bins) complex c_0; only its phases matter.
        num_iters: Iterations; none gives the signal of the magnitudes with the phases of ``start``.
        momentum: 0.99 in the paper.

    Returns:
        Signals (..., n) as ``stft`` takes them, nearest to the last ``P2(c_n)``.
    """
    spectrum, before = _with_magnitudes(start, magnitudes), None
    for _ in range(num_iters):
        now = stft(stft.inverse(spectrum))
        onward = now if before is None or momentum == 0 else now + momentum * (now - before)
        spectrum, before = _with_magnitudes(onward, magnitudes), now
    return stft.inverse(spectrum)


def _with_magnitudes(spectrum: Tensor, magnitudes: Tensor) -> Tensor:
    power = torch.view_as_real(spectrum).square().sum(-1)  # much faster than abs(), which takes a careful square root
    return spectrum * (magnitudes * power.clamp(min=1e-30).rsqrt())


def random_phases(magnitudes: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Complex numbers of absolute value 1, shaped as ``magnitudes``, with phases uniform in [0, 2 pi)."""
    device = magnitudes.device if generator is None else generator.device
    turns = torch.rand(magnitudes.shape, generator=generator, device=device).to(magnitudes)
    return torch.polar(torch.ones_like(magnitudes), 2 * np.pi * turns)


def magnitudes_of_mel(mel: Tensor, filters: Tensor, num_iters: int = MEL_ITERS) -> Tensor:
    """Linear magnitudes whose mel spectrogram is the given one, as flat as they can be.

    There are more bins than filters, so that many magnitudes have the same mel spectrogram. These begin as equal and go
    on as ``a <- a ((m / (a W)) W^T) / (1 W^T)``, which lowers the Kullback-Leibler divergence of ``a W`` from m and never
    makes a magnitude negative (Lee and Seung 2000, theorem 2; Richardson 1972). The pseudo-inverse of W with its negative
    values cut off is about a third further away from the true magnitudes of speech.

    Args:
        mel: (..., F) amplitudes, not their logarithm.
        filters: (bins, F) W, not negative.
        num_iters: Iterations.

    Returns:
        (..., bins), 0 where no filter is.
    """
    used = filters.any(1)
    weights = filters[used]
    found = mel.new_ones(*mel.shape[:-1], len(weights))
    for _ in range(num_iters):
        found = found * ((mel / (found @ weights).clamp(min=1e-20)) @ weights.T) / weights.sum(1)
    out = mel.new_zeros(*mel.shape[:-1], len(filters))
    out[..., used] = found
    return out
