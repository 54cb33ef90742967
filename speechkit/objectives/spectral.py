"""Losses of waveforms that compare spectra: what is generated with what was recorded."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Choice, Component, ComponentConfig
from speechkit.features.base import Featurizer
from speechkit.nn.stft import Stft

Samples = Annotated[int, Field(ge=1)]
FLOOR = 3e-4  # of magnitudes, for their logarithms: more than 100 dB under a tone at full scale


class WaveLoss(nn.Module, Component, kind="wave_loss"):
    """How much a generated waveform differs from the recording. It owns no parameters.

    Args:
        config: The options.
        featurizer: Of the generator's input, for losses that compare features.
    """

    class Config(ComponentConfig):
        """Options of all losses of waveforms."""

        weight: float = Field(1.0, ge=0)
        """Factor of this loss in the sum of the generator's losses."""

    def __init__(self, config: Config, featurizer: Featurizer) -> None:
        super().__init__()
        self.config = config

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The loss of each segment, all of which are equally long and have no padding.

        Args:
            fake: (B, L) generated samples in [-1, 1].
            real: (B, L) recorded samples.

        Returns:
            (B,) at least in float32; means over frames and bins, so that segments of any length weigh the same.
        """
        raise NotImplementedError


class StftLoss(WaveLoss, name="stft"):
    """Spectral convergence and distance of log-magnitudes at several resolutions (Yamamoto et al., 2020, Parallel WaveGAN,
    arXiv:1910.11480, section 2.2).

    Averaged over the resolutions, of a recording x and a generated y::

        || |S(x)| - |S(y)| ||_F / || |S(x)| ||_F  +  mean | ln |S(x)| - ln |S(y)| |

    It is 0 if and only if all magnitudes are equal: for equal waveforms, also for one and its negative.

    Differs from the paper: to ``|S|^2`` the square of a small constant is added, so that silence has finite gradients.
    """

    class Config(WaveLoss.Config):
        """Options of the multi-resolution STFT loss."""

        resolutions: tuple[tuple[Samples, Samples, Samples], ...] = Field(
            ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)), min_length=1
        )
        """FFT length, hop and window length in samples; the defaults are for 24 kHz."""

    def __init__(self, config: Config, featurizer: Featurizer) -> None:
        super().__init__(config, featurizer)
        self.stfts = nn.ModuleList(Stft(*resolution) for resolution in config.resolutions)

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The loss (B,); see :meth:`WaveLoss.forward`."""
        losses = [distance(stft.magnitude(fake, FLOOR), stft.magnitude(real, FLOOR)) for stft in self.stfts]
        return torch.stack(losses).mean(0)


def distance(fake: Tensor, real: Tensor) -> Tensor:
    """Spectral convergence and mean distance of the logarithms (B,) of two magnitudes (B, T, bins), none of them 0."""
    error = torch.linalg.vector_norm(real - fake, dim=(1, 2)) / torch.linalg.vector_norm(real, dim=(1, 2))
    return error + (real.log() - fake.log()).abs().mean((1, 2))


class MelLoss(WaveLoss, name="mel"):
    """Mean absolute difference of log-mel spectra (Kong et al., 2020, HiFi-GAN, arXiv:2010.05646, eq. 3): of the features
    that the generator speaks, or of others.

    Raises:
        ValueError: The other features are of another sampling rate, or of a backend without gradients.
    """

    class Config(WaveLoss.Config):
        """Options of the mel loss."""

        weight: float = Field(45.0, ge=0)
        """Factor of this loss in the sum of the generator's losses."""
        featurizer: Choice[Featurizer] | None = None
        """Of what spectra; null: of those that the generator speaks. (HiFi-GAN itself compares mel filters up to half the
        sampling rate, though it speaks only those up to 8 kHz.)"""

    def __init__(self, config: Config, featurizer: Featurizer) -> None:
        super().__init__(config, featurizer)
        self.featurizer = featurizer if config.featurizer is None else config.featurizer.build()
        rates = featurizer.sampling_rate, self.featurizer.sampling_rate
        if rates[0] != rates[1]:
            raise ValueError(
                f"mel.featurizer.sampling_rate: expected that of the waveforms, {rates[0]} Hz, got {rates[1]} Hz"
            )
        if self.featurizer.config.backend != "torch":
            raise ValueError(
                f"mel.featurizer.backend: expected torch, whose features have gradients, got {self.featurizer.config.backend}"
            )

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The loss (B,); see :meth:`WaveLoss.forward`."""
        lens = torch.full((len(real),), real.shape[1], dtype=torch.int64, device=real.device)
        with torch.no_grad():
            expected, _ = self.featurizer(real, lens)
        feats, _ = self.featurizer(fake, lens)
        return (feats - expected).abs().mean((1, 2))
