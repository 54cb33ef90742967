"""Log-mel spectrograms as Whisper hears them and as HiFi-GAN speaks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from speechkit.features.base import Featurizer, reject, upper_edge
from speechkit.features.framing import Framing
from speechkit.features.spectrum import MelSpectrum, constant, empty_filters, periodic_hann, slaney_filters


class MelFeaturizer(Featurizer):
    """What both share: Hann windows of ``n_fft`` samples at every ``hop_length``, edges mirrored, Slaney's filters.

    An utterance of L samples has ``L // hop_length`` frames, and at least one if it is not empty.
    """

    class Config(Featurizer.Config):
        n_fft: int = Field(default=400, ge=2)
        """FFT length, samples."""
        hop_length: int = Field(default=160, ge=1)
        """Samples from one frame to the next; at most `n_fft`."""
        num_mel_bins: int = Field(default=80, ge=1)
        """Mel filters, F."""

        @model_validator(mode="after")
        def _fits_together(self) -> MelFeaturizer.Config:
            if self.hop_length > self.n_fft:
                raise reject("hop_length", self.hop_length, f"expected at most n_fft {self.n_fft} samples")
            if empty := empty_filters(self.filters()):
                apart = self.sampling_rate / self.n_fft
                message = f"filter {empty[0]} lies between two FFT bins ({apart:g} Hz apart)"
                message += "; use fewer mel bins or a larger n_fft"
                raise reject("num_mel_bins", self.num_mel_bins, message)
            return self

        def filters(self) -> np.ndarray:
            """(n_fft // 2 + 1, num_mel_bins)."""
            return slaney_filters(self.sampling_rate, self.n_fft, self.num_mel_bins, 0.0, self.sampling_rate / 2)

    def __init__(
        self, config: Config, left: int, window_length: int, amplitude: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__(config, Framing(config.n_fft, config.hop_length, left=left), config.num_mel_bins)
        self.register_buffer("window", constant(periodic_hann(window_length, config.n_fft)), persistent=False)
        self.mel = MelSpectrum(config.filters(), amplitude)

    def compute(self, signal: Tensor) -> Tensor:
        return self.log(self.mel(signal.unfold(-1, len(self.window), self.hop_length) * self.window))

    def log(self, mel: Tensor) -> Tensor:
        """Mel energies or amplitudes (..., T, F) to their logarithm."""
        raise NotImplementedError


class WhisperMel(MelFeaturizer, name="whisper"):
    """Log-mel power spectrogram of Whisper (Radford et al., 2023): ``(max(log10(mel), peak - 8) + 4) / 4``.

    The peak is the utterance's highest log-mel value, so these features cannot stream. Frame t is centred on sample
    ``t * hop_length``. Whisper itself pads each utterance with zeros to 30 s; pad the waveform and count that padding
    in ``wav_lens`` to get exactly its input.

    Differs from Whisper: the peak is each utterance's own, never that of the batch.
    """

    not_streamable: ClassVar[str] = (
        "its values are relative to the loudest one of the whole utterance, which is known only at the end; "
        "use fbank, or wait for the whole utterance"
    )

    def __init__(self, config: MelFeaturizer.Config) -> None:
        super().__init__(config, left=config.n_fft // 2, window_length=config.n_fft)

    def log(self, mel: Tensor) -> Tensor:
        return mel.clamp_(min=1e-10).log10_()

    def normalize(self, feats: Tensor, padding: Tensor | None = None) -> Tensor:
        heard = feats if padding is None else feats.masked_fill(padding, -torch.inf)
        peak = heard.amax(dim=(-2, -1), keepdim=True)
        return (torch.maximum(feats, peak - 8.0) + 4.0) / 4.0


class HifiganMel(MelFeaturizer, name="hifigan"):
    """Log-mel amplitude spectrogram of HiFi-GAN (Kong et al., 2020): ``ln(max(mel, 1e-5))``.

    Frame t is centred on sample ``(t + 1/2) * hop_length``, so that a vocoder makes ``hop_length`` samples of each.
    Has gradients with respect to the waveform, for mel losses.
    """

    class Config(MelFeaturizer.Config):
        sampling_rate: int = Field(default=22050, gt=0)
        """Samples per second of the waveforms, Hz."""
        n_fft: int = Field(default=1024, ge=2)
        """FFT length, samples."""
        hop_length: int = Field(default=256, ge=1)
        """Samples from one frame to the next; at most `n_fft`."""
        win_length: int = Field(default=1024, ge=2)
        """Window length, samples; at most `n_fft`, in the middle of which it lies."""
        low_freq: float = Field(default=0.0, ge=0)
        """Lower edge of the mel filters, Hz."""
        high_freq: float = 8000.0
        """Upper edge of the mel filters, Hz; 0 or less counts down from half the sampling rate."""

        @model_validator(mode="after")
        def _has_room_for_the_window(self) -> HifiganMel.Config:
            if self.win_length > self.n_fft:
                raise reject("win_length", self.win_length, f"expected at most n_fft {self.n_fft} samples")
            return self

        def filters(self) -> np.ndarray:
            """(n_fft // 2 + 1, num_mel_bins)."""
            upper = upper_edge(self.sampling_rate, self.low_freq, self.high_freq)
            return slaney_filters(self.sampling_rate, self.n_fft, self.num_mel_bins, self.low_freq, upper)

    def __init__(self, config: Config) -> None:
        left = (config.n_fft - config.hop_length) // 2
        super().__init__(config, left, config.win_length, amplitude=_amplitude)

    def log(self, mel: Tensor) -> Tensor:
        return mel.clamp_(min=1e-5).log_()


def _amplitude(power: Tensor) -> Tensor:
    return (power + 1e-9).sqrt()  # the constant keeps the gradient finite in silence
