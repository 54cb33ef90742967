"""The fundamental frequency (F0) of each frame of a featurizer: by autocorrelation, or by WORLD."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from types import ModuleType
from typing import Literal

import numpy as np
import torch
from numba import njit
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig, ConfigError
from speechkit.features.base import BLOCK, Featurizer, reject
from speechkit.features.framing import Framing

LAG_RATE = 40_000  # lags per second at least: between two of them a parabola follows the autocorrelation of speech


class PitchExtractor(nn.Module, Component, kind="pitch"):
    """Gives the frames of a featurizer their F0: as many values as it has frames, at the middle of its windows.

    Args:
        config: The extractor's config.
        featurizer: Whose frames they are.

    Raises:
        ConfigError: ``max_f0`` is too high for the sampling rate.
    """

    class Config(ComponentConfig):
        min_f0: float = Field(default=75.0, gt=0)
        """Lowest F0, Hz. It sets the length of the windows, so a voice that is high is measured better with a higher one."""
        max_f0: float = Field(default=600.0, gt=0)
        """Highest F0, Hz."""

        @model_validator(mode="after")
        def _is_a_range(self) -> PitchExtractor.Config:
            if self.min_f0 >= self.max_f0:
                raise reject("max_f0", self.max_f0, f"expected more than min_f0 {self.min_f0:g} Hz")
            return self

    def __init__(self, config: Config, featurizer: Featurizer) -> None:
        super().__init__()
        if config.max_f0 > featurizer.sampling_rate / 4:
            raise ConfigError(
                f"pitch.max_f0: expected at most {featurizer.sampling_rate / 4:g} Hz, a quarter of the sampling rate "
                f"{featurizer.sampling_rate}, got {config.max_f0:g}; lower it"
            )
        self.config, self.sampling_rate, self.framing = config, featurizer.sampling_rate, featurizer.framing

    @property
    def centre(self) -> int:
        """The sample that the first frame lies around; the others follow every ``hop_length``."""
        return self.framing.window_length // 2 - self.framing.left

    @torch.no_grad()
    def forward(self, wav: Tensor, wav_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Measure a batch.

        Args:
            wav: (B, L) float samples, padded with anything.
            wav_lens: (B,) samples of each utterance.

        Returns:
            F0 (B, T) in Hz, 0 where unvoiced and at padding; and the frames (B,) of each utterance, the featurizer's.
        """
        f0 = wav.new_zeros(len(wav), self.framing.num_frames(wav.shape[1]), dtype=torch.float32)
        for row, each, length in zip(f0, wav, wav_lens.tolist(), strict=True):
            if num_frames := self.framing.num_frames(length):
                row[:num_frames] = self.extract(each[:length].float(), num_frames)
        return f0, self.framing.num_frames(wav_lens)

    def extract(self, wav: Tensor, num_frames: int) -> Tensor:
        """F0 (num_frames,) of one utterance (L,), L and ``num_frames`` >= 1."""
        raise NotImplementedError


class AutocorrelationPitch(PitchExtractor, name="autocorrelation"):
    """Boersma (1993), "Accurate short-term analysis of the fundamental frequency ...": what Praat does, and FastPitch used.

    Of each frame x, without its mean and under a Hann window w of three periods of ``min_f0``, the autocorrelation is
    divided by the window's: ``r(tau) = r_xw(tau) r_w(0) / (r_xw(0) r_w(tau))`` (equation 9), so that a periodic sound has
    1 at its period. The highest maxima are the candidates, of strength ``r(tau) - octave_cost log2(max_f0 tau)``, beside
    the unvoiced one, of ``voicing_threshold + max(0, 2 - loudness (1 + voicing_threshold) / silence_threshold)``
    (equations 23 and 24). The path through them of the greatest strength less the costs of its jumps (equation 27) is
    found by dynamic programming.

    Differs from the paper: maxima are interpolated by a parabola through an autocorrelation of at least 40,000 lags per
    second, not by windowed sinc functions; octave costs are counted from ``max_f0``, as Praat itself does; frames see the
    mirrored signal beyond the ends, so that the first and last ones have an F0 too.
    """

    class Config(PitchExtractor.Config):
        num_candidates: int = Field(default=15, ge=2)
        """Candidates per frame, of which one is unvoiced."""
        voicing_threshold: float = Field(default=0.45, ge=0)
        """Strength of the unvoiced candidate; more makes fewer frames voiced."""
        silence_threshold: float = Field(default=0.03, gt=0)
        """Loudness below which frames tend to be unvoiced, as a fraction of the utterance's peak."""
        octave_cost: float = Field(default=0.01, ge=0)
        """What a candidate loses per octave below `max_f0`."""
        octave_jump_cost: float = Field(default=0.35, ge=0)
        """What a path loses per octave between two frames, per 10 ms."""
        voiced_unvoiced_cost: float = Field(default=0.14, ge=0)
        """What a path loses where voice begins or ends, per 10 ms."""

    window: Tensor
    window_correlation: Tensor

    def __init__(self, config: Config, featurizer: Featurizer) -> None:
        super().__init__(config, featurizer)
        self.period = round(self.sampling_rate / config.min_f0)  # samples, the longest
        self.oversampling = math.ceil(LAG_RATE / self.sampling_rate)
        half = 3 * self.period // 2
        # Odd, so that a window has a middle sample; and without the zeros at its ends.
        hann = torch.hann_window(2 * half + 3, periodic=False, dtype=torch.float64)[1:-1]
        self.n_fft = 1 << (len(hann) + self.period).bit_length()
        own = Framing(len(hann), self.framing.hop_length, left=half - self.centre)
        self.windows = own
        correlation = self._correlate(hann)
        self.register_buffer("window", hann.float(), persistent=False)
        self.register_buffer("window_correlation", (correlation / correlation[0]).float(), persistent=False)

    def extract(self, wav: Tensor, num_frames: int) -> Tensor:
        """F0 of one utterance; see :meth:`PitchExtractor.extract`."""
        peak = (wav - wav.mean()).abs().max().clamp(min=1e-10)
        found = [self._candidates(frames, peak) for frames in self._frames(wav, num_frames)]
        f0, strengths = (torch.cat(each).double().cpu().numpy() for each in zip(*found))
        per_frame = 0.01 * self.sampling_rate / self.framing.hop_length
        path = best_path(
            f0, strengths, per_frame * self.config.octave_jump_cost, per_frame * self.config.voiced_unvoiced_cost
        )
        return torch.from_numpy(f0[np.arange(num_frames), path]).to(wav)

    def _frames(self, wav: Tensor, num_frames: int) -> Iterator[Tensor]:
        """The samples of all frames, a block (N, window) at a time."""
        index = torch.arange(self.windows.span(num_frames), device=wav.device) - self.windows.left
        signal = wav[self.windows.mirror(index, len(wav))]
        return iter(signal.unfold(0, len(self.window), self.framing.hop_length).split(BLOCK))

    def _correlate(self, frames: Tensor) -> Tensor:
        """Autocorrelations (..., lags) of windowed frames (..., window), for lags up to the longest period."""
        spectrum = torch.view_as_real(torch.fft.rfft(frames, self.n_fft)).square().sum(-1)
        lags = self.oversampling * self.period + 2
        return torch.fft.irfft(spectrum, self.n_fft * self.oversampling)[..., :lags]

    def _candidates(self, frames: Tensor, peak: Tensor) -> tuple[Tensor, Tensor]:
        """F0 and strength (N, C) of the candidates of ``frames`` (N, window); the first is unvoiced, missing ones -inf."""
        middle = len(self.window) // 2
        mean = frames[:, middle - self.period : middle + self.period + 1].mean(1, keepdim=True)
        frames = (frames - mean) * self.window
        inner = frames[:, middle - self.period // 2 : middle + self.period // 2 + 1]
        unvoiced = self._unvoiced_strength(inner.abs().amax(1) / peak)
        correlation = self._correlate(frames)
        correlation = correlation / (correlation[:, :1].clamp(min=1e-20) * self.window_correlation)
        f0, strengths = self._maxima(correlation)
        return torch.nn.functional.pad(f0, (1, 0)), torch.cat([unvoiced.unsqueeze(1), strengths], 1)

    def _unvoiced_strength(self, loudness: Tensor) -> Tensor:
        config = self.config
        quiet = 2.0 - loudness * (1.0 + config.voicing_threshold) / config.silence_threshold
        return config.voicing_threshold + quiet.clamp(min=0.0)

    def _maxima(self, correlation: Tensor) -> tuple[Tensor, Tensor]:
        """The best maxima of ``correlation`` (N, lags): F0 in Hz and strength, both (N, C - 1)."""
        config, rate = self.config, self.sampling_rate * self.oversampling
        first = math.ceil(rate / config.max_f0)
        lags = torch.arange(first, correlation.shape[1] - 1, device=correlation.device)
        before, here, after = correlation[:, first - 1 : -2], correlation[:, first:-1], correlation[:, first + 1 :]
        maximum = (here > before) & (here >= after) & (here > 0.5 * config.voicing_threshold)
        scores = (here - config.octave_cost * torch.log2(config.max_f0 / rate * lags)).masked_fill(~maximum, -torch.inf)
        scores, places = scores.topk(min(config.num_candidates - 1, len(lags)), dim=1)
        before, here, after = (each.gather(1, places) for each in (before, here, after))
        # The top of the parabola through the maximum and its neighbours.
        offset = (0.5 * (before - after) / (before - 2.0 * here + after)).nan_to_num(0.0, 0.0, 0.0).clamp(-0.5, 0.5)
        top = here - 0.25 * (before - after) * offset
        top = torch.where(top > 1.0, 1.0 / top, top)  # beyond 1 is what the window's division made too much of
        f0 = (rate / (lags[places] + offset)).clamp(config.min_f0, config.max_f0)
        strengths = top - config.octave_cost * torch.log2(config.max_f0 / f0)
        return f0, strengths.masked_fill(scores.isneginf(), -torch.inf)


@njit(cache=True, nogil=True)
def best_path(f0: np.ndarray, strengths: np.ndarray, octave_jump_cost: float, voicing_cost: float) -> np.ndarray:
    """The path through the candidates with the greatest sum of strengths less the costs of its jumps.

    Args:
        f0: (T, C) in Hz, 0 for unvoiced.
        strengths: (T, C), -inf for candidates that do not exist.
        octave_jump_cost: For a jump of one octave.
        voicing_cost: For a jump between voiced and unvoiced.

    Returns:
        (T,) the candidate of each frame.
    """
    num_frames, num_candidates = f0.shape
    origins = np.zeros((num_frames, num_candidates), dtype=np.int64)
    best, now = strengths[0].copy(), np.empty(num_candidates)
    pitch = np.where(f0 > 0, np.log2(np.where(f0 > 0, f0, 1.0)), -np.inf)  # octaves
    for t in range(1, num_frames):
        for c in range(num_candidates):
            now[c], origins[t, c] = -np.inf, 0
            if strengths[t, c] == -np.inf:
                continue
            for b in range(num_candidates):
                voiced, was_voiced = f0[t, c] > 0, f0[t - 1, b] > 0
                cost = voicing_cost if voiced != was_voiced else 0.0
                if voiced and was_voiced:
                    cost = octave_jump_cost * abs(pitch[t, c] - pitch[t - 1, b])
                if best[b] - cost > now[c]:
                    now[c], origins[t, c] = best[b] - cost, b
            now[c] += strengths[t, c]
        best, now = now, best
    path = np.empty(num_frames, dtype=np.int64)
    path[-1] = np.argmax(best)
    for t in range(num_frames - 1, 0, -1):
        path[t - 1] = origins[t, path[t]]
    return path


class WorldPitch(PitchExtractor, name="world"):
    """F0 by WORLD (Morise et al., 2016): Harvest or DIO, refined by StoneMask. Needs the package ``pyworld``, ``[tts]``.

    On the CPU and in double precision, wherever the waveform is.
    """

    class Config(PitchExtractor.Config):
        algorithm: Literal["harvest", "dio"] = "harvest"
        """`harvest` calls many more frames voiced, not all of them rightly; `dio` takes a twentieth of the time."""

    def __init__(self, config: Config, featurizer: Featurizer) -> None:
        super().__init__(config, featurizer)
        pyworld()

    def extract(self, wav: Tensor, num_frames: int) -> Tensor:
        """F0 of one utterance; see :meth:`PitchExtractor.extract`."""
        world, hop_length = pyworld(), self.framing.hop_length
        # WORLD measures at 0, hop_length, ...: move the first frame to such a place, and let there be one for the last.
        before = -self.centre % hop_length
        skipped = (self.centre + before) // hop_length
        samples = wav.double().cpu().numpy()
        after = max((skipped + num_frames) * hop_length - before - len(samples), 0)
        samples = np.pad(samples, (before, after))
        measure = getattr(world, self.config.algorithm)
        f0, times = measure(
            samples, self.sampling_rate, self.config.min_f0, self.config.max_f0,
            frame_period=1000 * hop_length / self.sampling_rate,
        )  # fmt: skip
        f0 = world.stonemask(samples, f0, times, self.sampling_rate)
        return torch.from_numpy(f0[skipped : skipped + num_frames]).to(wav)


def pyworld() -> ModuleType:
    """The package ``pyworld``.

    Raises:
        ConfigError: It is not installed, or does not load.
    """
    try:
        return importlib.import_module("pyworld")
    except ImportError as error:
        raise ConfigError(
            f"pitch.name: expected the package pyworld for world, got {error}; run `pip install 'speechkit[tts]'` "
            "(version 0.3.5 needs 'setuptools<81' too), or use pitch.name=autocorrelation"
        ) from error
