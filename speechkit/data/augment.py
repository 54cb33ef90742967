"""Augmentation as a pure function of (seed, epoch, cut id): no worker count, resume or order of reading can change it.

Speed changes durations, so it is decided on the manifest, where the sampler sees it. Reverberation, noise and volume,
in this order, are applied to the waveform by the dataset. The cut itself carries what that needs (its first id and the
epoch), so worker processes need not be told.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from lhotse import Recording
from lhotse.cut import Cut, MultiCut
from lhotse.cut.data import DataCut
from lhotse.utils import fastcopy
from pydantic import Field, model_validator

from speechkit.config import Config
from speechkit.data.audio import AUDIO_SUFFIXES, AudioCache, load_audio
from speechkit.data.cuts import open_cuts

Probability = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]

_MARK = "augment"  # key in cut.custom
_RIR_CACHE = 600.0  # s of impulse responses that are kept in memory


class _Range(Config):
    """Refuses a ``min_x`` above its ``max_x``."""

    @model_validator(mode="after")
    def _ordered(self) -> _Range:
        for low in (name for name in type(self).model_fields if name.startswith("min_")):
            high = "max_" + low.removeprefix("min_")
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"expected {low} <= {high}, got {getattr(self, low)} and {getattr(self, high)}")
        return self


class SpeedConfig(Config):
    """Tempo and pitch together, by resampling (Ko et al. 2015, "Audio augmentation for speech recognition")."""

    factors: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (0.9, 1.0, 1.1)
    """One is drawn uniformly; 1.1 is 10 % faster."""

    p: Probability = 1.0
    """Probability of drawing at all."""


class VolumeConfig(_Range):
    """A gain, uniform in decibels."""

    min_db: float = -10.0
    """dB."""

    max_db: float = 6.0
    """dB."""

    p: Probability = 1.0
    """Probability per utterance and epoch."""


class NoiseConfig(_Range):
    """Additive noise at a signal-to-noise ratio uniform in decibels."""

    cuts: str | None = None
    """Manifest of noise recordings, or a folder of audio files; synthetic noise when null."""

    color: Literal["white", "pink"] = "pink"
    """Spectrum of synthetic noise: flat, or 1/f in power."""

    min_snr: float = 5.0
    """dB, speech power over noise power, both over the whole utterance."""

    max_snr: float = 25.0
    """dB."""

    p: Probability = 0.5
    """Probability per utterance and epoch."""


class ReverbConfig(_Range):
    """Convolution with a room impulse response; power and the position of the direct sound are kept."""

    cuts: str | None = None
    """Manifest of impulse responses, or a folder of them (first channel); synthetic when null."""

    min_rt60: PositiveFloat = 0.15
    """Seconds in which a synthetic room's reverberation decays by 60 dB."""

    max_rt60: PositiveFloat = 0.6
    """Seconds."""

    min_drr: float = 0.0
    """dB, power of a synthetic room's direct sound over its reverberation."""

    max_drr: float = 12.0
    """dB."""

    p: Probability = 0.5
    """Probability per utterance and epoch."""


class AugmentConfig(Config):
    """What is done to training audio; an absent block is off."""

    speed: SpeedConfig | None = None
    """Speed perturbation."""

    reverb: ReverbConfig | None = None
    """Reverberation."""

    noise: NoiseConfig | None = None
    """Additive noise."""

    volume: VolumeConfig | None = None
    """Gain."""


def origin_id(cut: Cut) -> str:
    """The id that the cut has in its manifest, before augmentation."""
    mark = _mark_of(cut)
    return cut.id if mark is None else mark["id"]


def _mark_of(cut: Cut) -> dict | None:
    return (cut.custom or {}).get(_MARK)


def _marked(cut: Cut, mark: dict) -> Cut:
    if isinstance(cut, DataCut):
        return fastcopy(cut, custom={**(cut.custom or {}), _MARK: mark})
    # A mixed cut has the custom fields of its tracks.
    first = next(i for i, track in enumerate(cut.tracks) if isinstance(track.cut, DataCut))
    tracks = list(cut.tracks)
    tracks[first] = fastcopy(tracks[first], cut=_marked(tracks[first].cut, mark))
    return fastcopy(cut, tracks=tracks)


class Augmenter:
    """Applies an :class:`AugmentConfig`.

    ``augmenter(cut, epoch)`` gives the cut of that epoch; its audio is then
    ``augmenter.perturb_audio(load_audio(cut, sampling_rate), cut, sampling_rate)``. Each effect draws from a stream of
    its own, so that switching one on changes nothing about the others.

    Args:
        config: What to do.
        seed: Same seed, same audio.

    Raises:
        ValueError: A manifest of noises or impulse responses is missing or empty.
    """

    def __init__(self, config: AugmentConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        self.noises = _sources(config.noise.cuts) if config.noise and config.noise.cuts else []
        self.rirs = _sources(config.reverb.cuts) if config.reverb and config.reverb.cuts else []
        # A room's few responses are needed again and again; a large simulated set would fill the memory.
        self._rir_cache: AudioCache | None = {} if sum(cut.duration for cut in self.rirs) < _RIR_CACHE else None

    def __call__(self, cut: Cut, epoch: int) -> Cut:
        """``cut`` as it is in ``epoch``: at its speed, and marked for :meth:`perturb_audio`; no audio is read.

        The id of a cut at another speed ends in ``_sp<factor>``; :func:`origin_id` gives the old one.
        """
        if not cut.has_recording:
            raise ValueError(f"cut {cut.id}: expected a recording to augment, got none; prepare the manifest again")
        mark = {"id": cut.id, "epoch": epoch}
        factor = self.speed(cut, epoch)
        if factor != 1.0:
            cut = (cut.drop_features() if cut.has_features else cut).perturb_speed(factor)
        return _marked(cut, mark)

    def speed(self, cut: Cut, epoch: int) -> float:
        """The factor by which an (unmarked) cut is faster in ``epoch``."""
        config = self.config.speed
        if config is None or config.factors == (1.0,):
            return 1.0
        # One draw serves both the choice and p: a generator per cut would cost more than planning a batch.
        draw = self._bits("speed", cut.id, epoch) / 2**128
        return config.factors[int(draw / config.p * len(config.factors))] if draw < config.p else 1.0

    def perturb_audio(self, audio: np.ndarray, cut: Cut, sampling_rate: int) -> np.ndarray:
        """Reverberation, noise and volume for a cut that this augmenter has marked; others come back as they are.

        Args:
            audio: (L,) float32.
            cut: From :meth:`__call__`.
            sampling_rate: Hz, of ``audio``.

        Returns:
            (L,) float32; it may go beyond [-1, 1], as nothing is clipped.
        """
        mark = _mark_of(cut)
        if mark is None:
            return audio
        for effect in ("reverb", "noise", "volume"):
            config = getattr(self.config, effect)
            random = self._random(effect, mark["id"], mark["epoch"]) if config is not None else None
            if random is not None and random.random() < config.p:
                audio = getattr(self, f"_{effect}")(audio, random, sampling_rate)
        return audio

    def _bits(self, effect: str, cut_id: str, epoch: int) -> int:
        key = f"{self.seed}/{epoch}/{effect}/{cut_id}"
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")

    def _random(self, effect: str, cut_id: str, epoch: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(self._bits(effect, cut_id, epoch)))

    def _reverb(self, audio: np.ndarray, random: np.random.Generator, sampling_rate: int) -> np.ndarray:
        config = self.config.reverb
        if self.rirs:
            rir = load_audio(_pick(self.rirs, random), sampling_rate, self._rir_cache)
        else:
            rt60, drr = random.uniform(config.min_rt60, config.max_rt60), random.uniform(config.min_drr, config.max_drr)
            rir = synthetic_rir(rt60, drr, sampling_rate, random)
        return reverberate(audio, rir)

    def _noise(self, audio: np.ndarray, random: np.random.Generator, sampling_rate: int) -> np.ndarray:
        config = self.config.noise
        snr = random.uniform(config.min_snr, config.max_snr)
        if self.noises:
            noise = _excerpt(_pick(self.noises, random), len(audio), sampling_rate, random)
        else:
            noise = synthetic_noise(len(audio), config.color, random)
        return add_noise(audio, noise, snr)

    def _volume(self, audio: np.ndarray, random: np.random.Generator, sampling_rate: int) -> np.ndarray:
        decibels = random.uniform(self.config.volume.min_db, self.config.volume.max_db)
        return audio * np.float32(10 ** (decibels / 20))


def _sources(path: str) -> list[Cut]:
    """The cuts of a manifest, or one cut per audio file of a folder, in the order of their names."""
    if Path(path).is_dir() and not list(Path(path).glob("cuts.*.jsonl*")):
        files = sorted(f for f in Path(path).rglob("*") if f.suffix.lower() in AUDIO_SUFFIXES)
        cuts = [Recording.from_file(file).to_cut() for file in files]
    else:
        cuts = list(open_cuts(path))
    if not cuts:
        raise ValueError(
            f"{path}: expected recordings to augment with, got none; give another path, or null for synthetic"
        )
    return [cut.with_channels(cut.channel[0]) if isinstance(cut, MultiCut) else cut for cut in cuts]


def _pick(cuts: Sequence[Cut], random: np.random.Generator) -> Cut:
    return cuts[int(random.integers(len(cuts)))]


def _excerpt(cut: Cut, num_samples: int, sampling_rate: int, random: np.random.Generator) -> np.ndarray:
    """(num_samples,) from anywhere in a recording, which starts again where it is too short."""
    duration = num_samples / sampling_rate
    if cut.duration > duration:
        cut = cut.truncate(
            offset=float(random.uniform(0, cut.duration - duration)), duration=duration, preserve_id=True
        )
        return np.resize(load_audio(cut, sampling_rate), num_samples)
    return np.resize(np.roll(load_audio(cut, sampling_rate), int(random.integers(2**31))), num_samples)


def synthetic_noise(num_samples: int, color: str, random: np.random.Generator) -> np.ndarray:
    """Gaussian noise, (num_samples,) float32: flat in power (``white``) or 1/f (``pink``)."""
    noise = random.standard_normal(num_samples, dtype=np.float32)
    if color == "pink":
        spectrum = np.fft.rfft(noise)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        noise = np.fft.irfft(spectrum, num_samples).astype(np.float32)
    return noise


def add_noise(audio: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """``audio + g noise`` with ``g`` such that ``10 log10(P(audio) / P(g noise))`` is ``snr`` dB, P the mean square.

    Silent audio or noise has no ratio: the audio comes back as it is.
    """
    speech_power, noise_power = np.mean(np.square(audio)), np.mean(np.square(noise))
    if speech_power == 0 or noise_power == 0:
        return audio
    gain = math.sqrt(speech_power / noise_power / 10 ** (snr / 10))
    return audio + np.float32(gain) * noise


def synthetic_rir(rt60: float, drr: float, sampling_rate: int, random: np.random.Generator) -> np.ndarray:
    """Direct sound, then Gaussian noise that decays exponentially: the diffuse field of a room (Polack 1988).

    ``h[0] = 1``, ``h[n] = g w[n] 10^(-3 n / (rt60 rate))``, so that the power falls by 60 dB in ``rt60`` seconds.

    Args:
        rt60: Seconds.
        drr: dB, power of ``h[0]`` over the power of the rest.
        sampling_rate: Hz.
        random: Source of ``w``.

    Returns:
        (rt60 * sampling_rate,) float32.
    """
    time = np.arange(max(2, round(rt60 * sampling_rate)), dtype=np.float32) / sampling_rate
    rir = random.standard_normal(len(time), dtype=np.float32) * np.float32(10) ** (-3 * time / np.float32(rt60))
    rir[0] = 0
    rir *= math.sqrt(10 ** (-drr / 10) / np.sum(np.square(rir)))
    rir[0] = 1
    return rir


def reverberate(audio: np.ndarray, rir: np.ndarray) -> np.ndarray:
    """Convolve, keeping length, power and the time of the direct sound (the impulse response's peak).

    Args:
        audio: (L,) float32.
        rir: (N,) float32.

    Returns:
        (L,) float32.
    """
    delay = int(np.argmax(np.abs(rir)))
    rir = rir[: delay + len(audio)]  # what comes later than the last sample
    size = 1 << (len(audio) + len(rir) - 2).bit_length()  # at least L + N - 1: linear, not circular, convolution
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(rir, size), size)[delay : delay + len(audio)]
    power = np.mean(np.square(wet))
    scale = math.sqrt(np.mean(np.square(audio)) / power) if power > 0 else 0.0
    return (wet * scale).astype(np.float32)
