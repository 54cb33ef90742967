"""How far what a voice says is from a recording of the same words: envelopes and pitch along the path of least distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from speechkit.config import ComponentConfig
from speechkit.features.mel import HifiganMel
from speechkit.metrics.dtw import dtw
from speechkit.metrics.mel_cepstral_distortion import cepstra_of_log_mel, mel_cepstral_distortion
from speechkit.metrics.pitch_error import PitchError, pitch_error

WINDOW = 1024 / 22050  # seconds
FRAME_SHIFT = 0.01  # seconds
NUM_MEL_BINS = 80
HIGH_FREQ = 8000.0  # Hz; half the sampling rate where that is less


@dataclass(frozen=True)
class Look:
    """What is measured of one recording, every 10 ms.

    Args:
        log_mel: (T, F) natural logarithms of amplitudes.
        pitch: (T,) F0 in Hz, 0 where unvoiced.
    """

    log_mel: np.ndarray
    pitch: np.ndarray


class VoiceMeter:
    """Measures recordings: in 80 mel bins up to 8 kHz, over windows of 46 ms. These are the same for all voices of a
    sampling rate, whatever features they learn, so that their numbers can be compared.

    Args:
        sampling_rate: Of the voice, in Hz.
        pitch: Config of what measures pitch.
    """

    def __init__(self, sampling_rate: int, pitch: ComponentConfig) -> None:
        window = round(WINDOW * sampling_rate)
        config = HifiganMel.Config(
            sampling_rate=sampling_rate,
            n_fft=1 << window.bit_length(),
            win_length=window,
            hop_length=round(FRAME_SHIFT * sampling_rate),
            num_mel_bins=NUM_MEL_BINS,
            high_freq=min(HIGH_FREQ, sampling_rate / 2),
        )
        self.sampling_rate = sampling_rate
        self.featurizer = config.build()
        self.pitch = pitch.build(featurizer=self.featurizer)

    @torch.inference_mode()
    def look(self, wav: np.ndarray) -> Look:
        """Measure one recording (L,), L >= 1 and finite."""
        batch, lens = torch.from_numpy(wav).unsqueeze(0), torch.tensor([len(wav)])
        feats, _ = self.featurizer(batch, lens)
        pitch, _ = self.pitch(batch, lens)
        return Look(feats[0].numpy(), pitch[0].numpy())


def compare(natural: Look, made: Look) -> tuple[float, PitchError]:
    """Mel-cepstral distortion in dB, and the error of the pitch, along the path on which the envelopes differ least."""
    ref, hyp = cepstra_of_log_mel(natural.log_mel), cepstra_of_log_mel(made.log_mel)
    path = dtw(ref, hyp)
    return mel_cepstral_distortion(ref, hyp, path), pitch_error(natural.pitch, made.pitch, path)
