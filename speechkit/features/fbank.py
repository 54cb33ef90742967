"""Kaldi's log-mel filter bank energies and MFCCs, with Kaldi's numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from speechkit.features import backends
from speechkit.features.base import Backend, Featurizer, reject, upper_edge
from speechkit.features.framing import Framing
from speechkit.features.spectrum import MelSpectrum, constant, dct, empty_filters, kaldi_filters, kaldi_window

FLOAT_EPSILON = float(np.finfo(np.float32).eps)


class KaldiFeaturizer(Featurizer):
    """What fbank and MFCC share: frames without offset, pre-emphasised, windowed; their mel energies.

    For each frame x of W samples: ``x[j] -= mean(x)``, ``x[j] -= preemphasis * x[j - 1]`` (``x[-1] = x[0]``),
    ``x[j] *= window[j]``, then the power spectrum over the next power of two. In single precision the logs are 1e-6
    from the exact ones on average, and up to 1e-3 in bins far below the frame's loudest, as are Kaldi's own.

    Differs from Kaldi: samples are in [-1, 1], so energies are ``2 ln 32768 = 20.8`` lower in the log, as in Lhotse and
    icefall; dither is added to the waveform, so that overlapping frames see the same noise; with mirrored edges an
    utterance shorter than half a frame shift has one frame, where Kaldi has none.
    """

    class Config(Featurizer.Config):
        frame_length: float = Field(default=0.025, gt=0)
        """Window length, seconds."""
        frame_shift: float = Field(default=0.01, gt=0)
        """From one frame to the next, seconds; at most `frame_length`."""
        window: Literal["povey", "hamming", "hanning"] = "povey"
        """Shape of the window; `povey` is Kaldi's Hann window to the power 0.85."""
        dither: float = Field(default=0.0, ge=0)
        """Standard deviation of Gaussian noise added in training, in units of the samples; Kaldi's 1.0 is 3e-5 here."""
        remove_dc_offset: bool = True
        """Subtract each frame's mean."""
        preemphasis: float = Field(default=0.97, ge=0, le=1)
        """Coefficient of the pre-emphasis filter; 0 is none."""
        snip_edges: bool = False
        """True: only windows inside the utterance. False: one frame per shift, the signal mirrored at its ends."""
        low_freq: float = Field(default=20.0, ge=0)
        """Lower edge of the mel filters, Hz."""
        high_freq: float = -400.0
        """Upper edge of the mel filters, Hz; 0 or less counts down from half the sampling rate."""
        num_mel_bins: int = Field(default=80, ge=3)
        """Mel filters."""
        energy_floor: float = Field(default=FLOAT_EPSILON, gt=0)
        """Energies below this are raised to it before the log."""
        use_energy: bool = False
        """Give the log of the frame's energy too, taken before pre-emphasis and window, as the first feature."""

        @model_validator(mode="after")
        def _fits_together(self) -> KaldiFeaturizer.Config:
            if self.frame_shift > self.frame_length:
                raise reject("frame_shift", self.frame_shift, f"expected at most frame_length {self.frame_length:g} s")
            if self.hop_length < 1 or self.window_length < 2:
                key = "frame_shift" if self.hop_length < 1 else "frame_length"
                message = f"expected at least one sample per shift and two per window at {self.sampling_rate} Hz"
                raise reject(key, getattr(self, key), message)
            if empty := empty_filters(self.filters()):
                apart = self.sampling_rate / self.n_fft
                message = f"filter {empty[0]} lies between two FFT bins ({apart:g} Hz apart)"
                message += "; use fewer mel bins or a longer frame_length"
                raise reject("num_mel_bins", self.num_mel_bins, message)
            return self

        @property
        def window_length(self) -> int:
            """Samples per window, rounded down (the small term is for 0.01 * 44100 and the like)."""
            return int(self.frame_length * self.sampling_rate + 1e-6)

        @property
        def hop_length(self) -> int:
            """Samples per shift, rounded down."""
            return int(self.frame_shift * self.sampling_rate + 1e-6)

        @property
        def n_fft(self) -> int:
            """FFT length: the next power of two."""
            return 1 << (self.window_length - 1).bit_length()

        def filters(self) -> np.ndarray:
            """(n_fft // 2 + 1, num_mel_bins)."""
            upper = upper_edge(self.sampling_rate, self.low_freq, self.high_freq)
            return kaldi_filters(self.sampling_rate, self.n_fft, self.num_mel_bins, self.low_freq, upper)

    backends: ClassVar[tuple[Backend, ...]] = ("torch", "kaldi_native_fbank", "kaldifeat", "torchaudio")
    offset: Tensor

    def __init__(self, config: Config, feat_dim: int) -> None:
        framing = Framing.cut if config.snip_edges else Framing.kaldi
        super().__init__(config, framing(config.window_length, config.hop_length), feat_dim)
        backends.check(config)
        window = kaldi_window(config.window, config.window_length)
        # As long as the FFT: the window's zeros do the zero-padding.
        window = np.pad(window, (0, config.n_fft - config.window_length))
        self.register_buffer("window", constant(window), persistent=False)
        # Pre-emphasis leaves (1 - preemphasis) of a frame's mean.
        self.register_buffer("offset", constant(-(1 - config.preemphasis) * window), persistent=False)
        self.starts_at_zero = bool(window[0] == 0)
        self.mel = MelSpectrum(config.filters())

    def forward(self, wav: Tensor, wav_lens: Tensor) -> tuple[Tensor, Tensor]:
        if self.training and self.config.dither > 0:
            wav = wav + self.config.dither * torch.randn_like(wav)
        return super().forward(wav, wav_lens)

    def compute(self, signal: Tensor) -> Tensor:
        if self.config.backend == "torch":
            return self.finish(self._log(self.mel(self.windowed(signal))), signal)
        if signal.ndim == 1:
            return backends.compute(self.config, signal)
        return torch.stack([backends.compute(self.config, utterance) for utterance in signal])

    def windowed(self, signal: Tensor) -> Tensor:
        """Frames ready for the FFT: (..., n) to (..., T, n_fft).

        All three steps are linear, so pre-emphasis runs once over the signal instead of over its overlapping frames,
        and what it leaves of each frame's mean is subtracted together with the window.
        """
        coefficient, n_fft = self.config.preemphasis, len(self.window)
        emphasized = torch.sub(signal[..., 1:], signal[..., :-1], alpha=coefficient)
        emphasized = F.pad(emphasized, (1, n_fft - self.framing.window_length))
        frames = emphasized.unfold(-1, n_fft, self.hop_length) * self.window
        raw = self._raw_frames(signal)
        if not self.starts_at_zero:  # the first sample of a frame is its own predecessor
            frames[..., 0] = (1 - coefficient) * self.window[0] * raw[..., 0]
        if self.config.remove_dc_offset:
            frames.addcmul_(raw.mean(-1, keepdim=True), self.offset)
        return frames

    def log_energy(self, signal: Tensor) -> Tensor:
        """Log energy of each raw frame: (..., n) to (..., T, 1)."""
        raw = self._raw_frames(signal)
        if self.config.remove_dc_offset:
            raw = raw - raw.mean(-1, keepdim=True)
        return self._log(raw.square().sum(-1, keepdim=True))

    def finish(self, log_mel: Tensor, signal: Tensor) -> Tensor:
        """Log mel energies (..., T, num_mel_bins), and the signal (..., n) they are of, to features (..., T, F)."""
        raise NotImplementedError

    def _raw_frames(self, signal: Tensor) -> Tensor:
        return signal.unfold(-1, self.framing.window_length, self.hop_length)

    def _log(self, energies: Tensor) -> Tensor:
        return energies.clamp_(min=self.config.energy_floor).log_()


class Fbank(KaldiFeaturizer, name="fbank"):
    """Log-mel filter bank energies: F is ``num_mel_bins``, and one more with ``use_energy``."""

    def __init__(self, config: Any) -> None:
        super().__init__(config, feat_dim=config.num_mel_bins + config.use_energy)

    def finish(self, log_mel: Tensor, signal: Tensor) -> Tensor:
        return torch.cat([self.log_energy(signal), log_mel], dim=-1) if self.config.use_energy else log_mel


class Mfcc(KaldiFeaturizer, name="mfcc"):
    """Mel-frequency cepstral coefficients: the DCT of the log-mel energies, liftered; F is ``num_ceps``.

    Coefficient k is scaled by ``1 + cepstral_lifter / 2 * sin(pi k / cepstral_lifter)``. With ``use_energy`` the
    frame's log energy takes the place of coefficient 0.
    """

    class Config(KaldiFeaturizer.Config):
        num_mel_bins: int = Field(default=23, ge=3)
        """Mel filters."""
        num_ceps: int = Field(default=13, ge=1)
        """Cepstral coefficients, the 0th included; at most `num_mel_bins`."""
        cepstral_lifter: float = Field(default=22.0, ge=0)
        """Strength of the liftering; 0 is none."""

        @model_validator(mode="after")
        def _has_enough_bins(self) -> Mfcc.Config:
            if self.num_ceps > self.num_mel_bins:
                raise reject("num_ceps", self.num_ceps, f"expected at most num_mel_bins {self.num_mel_bins}")
            return self

    dct: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config, feat_dim=config.num_ceps)
        matrix = dct(config.num_mel_bins, config.num_ceps)
        if (q := config.cepstral_lifter) > 0:
            matrix *= 1 + q / 2 * np.sin(np.pi * np.arange(config.num_ceps) / q)
        self.register_buffer("dct", constant(matrix), persistent=False)

    def finish(self, log_mel: Tensor, signal: Tensor) -> Tensor:
        ceps = log_mel @ self.dct
        return torch.cat([self.log_energy(signal), ceps[..., 1:]], dim=-1) if self.config.use_energy else ceps
