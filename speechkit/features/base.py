"""The featurizer: a module from waveforms to features, the same for batches, single utterances and streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import pydantic
import torch
from pydantic import Field
from pydantic_core import InitErrorDetails, PydanticCustomError
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig, ConfigError
from speechkit.features.framing import Framing
from speechkit.utils.lens import padding_mask

Backend = Literal["torch", "kaldi_native_fbank", "kaldifeat", "torchaudio"]

# Longer signals are cut into blocks of this many frames on the CPU: 10 s stay in the cache, an hour fits in memory.
BLOCK = 1024


def reject(key: str, value: Any, message: str) -> pydantic.ValidationError:
    """What a config's validator raises when ``key`` does not fit the other fields; it carries the dotted key."""
    error = PydanticCustomError("unfit", "{message}", {"message": message})
    return pydantic.ValidationError.from_exception_data(key, [InitErrorDetails(type=error, loc=(key,), input=value)])


def upper_edge(sampling_rate: int, low_freq: float, high_freq: float) -> float:
    """The highest frequency of a filter bank in Hz; ``high_freq`` <= 0 counts down from the Nyquist frequency.

    Raises:
        pydantic.ValidationError: the edges are not ``0 <= low_freq < high_freq <= sampling_rate / 2``.
    """
    nyquist = sampling_rate / 2
    upper = high_freq if high_freq > 0 else nyquist + high_freq
    if upper > nyquist:
        raise reject("high_freq", high_freq, f"expected at most {nyquist:g} Hz, half of sampling_rate {sampling_rate}")
    if upper <= low_freq:
        means = f" (which means {upper:g} Hz)" if high_freq <= 0 else ""
        raise reject("high_freq", high_freq, f"expected more than low_freq {low_freq:g} Hz{means}")
    return upper


class Featurizer(nn.Module, Component, kind="featurizer"):
    """Waveforms to features, frame by frame; a subclass says which samples a frame sees and what it makes of them.

    On the CPU utterances are processed one by one, because the intermediates of a big batch leave the cache (2-4 times
    slower); on other devices as one batch. The numbers do not depend on it, nor on the padding.

    Args:
        config: The featurizer's config.
        framing: Which samples each frame sees.
        feat_dim: Features per frame, F.

    Raises:
        ConfigError: the backend cannot compute this feature.
    """

    class Config(ComponentConfig):
        sampling_rate: int = Field(default=16000, gt=0)
        """Samples per second of the waveforms, Hz."""
        backend: Backend = "torch"
        """What computes: `torch` (any device, has gradients), or a package for parity with other toolkits."""

    backends: ClassVar[tuple[Backend, ...]] = ("torch",)
    not_streamable: ClassVar[str] = ""  # the reason, if it is so
    window: Tensor

    def __init__(self, config: Config, framing: Framing, feat_dim: int) -> None:
        super().__init__()
        if config.backend not in self.backends:
            raise ConfigError(
                f"{config.name}.backend: expected one of {', '.join(self.backends)}, got {config.backend}, "
                f"which cannot compute {config.name!r}; use backend: torch"
            )
        self.config = config
        self.framing = framing
        self.feat_dim = feat_dim

    @property
    def sampling_rate(self) -> int:
        """Samples per second, Hz."""
        return self.config.sampling_rate

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return self.framing.hop_length

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sampling_rate

    def num_frames(self, wav_lens):
        """Frames of utterances of ``wav_lens`` samples; a tensor (B,) or an int, and the same comes back."""
        return self.framing.num_frames(wav_lens)

    def compute(self, signal: Tensor) -> Tensor:
        """Features of the whole windows of a signal that needs no more samples at its ends.

        Args:
            signal: (..., n) samples, n at least the window's length.

        Returns:
            (..., T, F).
        """
        raise NotImplementedError

    def normalize(self, feats: Tensor, padding: Tensor | None = None) -> Tensor:
        """What depends on whole utterances (..., T, F), whose ``padding`` (..., T, 1) must not matter; here nothing."""
        return feats

    def forward(self, wav: Tensor, wav_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the features of a batch.

        Args:
            wav: (B, L) float samples in [-1, 1], padded with anything.
            wav_lens: (B,) samples of each utterance.

        Returns:
            feats (B, T, F), 0 at padding, with T the frame count of L samples; and feat_lens (B,).

        Raises:
            ValueError: shapes or types that do not fit.
        """
        self._check(wav, wav_lens)
        # Log energies need single precision, whatever the model around runs in.
        with torch.autocast(wav.device.type, enabled=False):
            one_by_one = wav.device.type == "cpu" and not torch.compiler.is_compiling()
            feats = (self._one_by_one if one_by_one else self._batched)(wav.to(self.window.dtype), wav_lens)
        return feats, self.num_frames(wav_lens)

    def _check(self, wav: Tensor, wav_lens: Tensor) -> None:
        if wav.ndim != 2 or wav_lens.shape != wav.shape[:1]:
            raise ValueError(
                f"featurizer: expected wav (B, L) and wav_lens (B,), got {tuple(wav.shape)} and "
                f"{tuple(wav_lens.shape)}; give a single utterance as wav.unsqueeze(0)"
            )
        if not wav.is_floating_point():
            raise ValueError(
                f"featurizer: expected float samples in [-1, 1], got {wav.dtype}; divide 16-bit samples by 32768"
            )

    def _one_by_one(self, wav: Tensor, wav_lens: Tensor) -> Tensor:
        feats = wav.new_zeros(len(wav), self.num_frames(wav.shape[1]), self.feat_dim)
        for index, length in enumerate(wav_lens.tolist()):
            if length > wav.shape[1]:
                raise ValueError(
                    f"featurizer: expected wav_lens of at most {wav.shape[1]} samples, as wav has, got {length} "
                    f"for utterance {index}; pad wav to the longest utterance"
                )
            feats[index, : self.num_frames(length)] = self.extract(wav[index, :length])
        return feats

    def _batched(self, wav: Tensor, wav_lens: Tensor) -> Tensor:
        wav_lens = wav_lens.to(wav.device)
        num_frames = self.num_frames(wav.shape[1])
        if num_frames == 0:
            return wav.new_zeros(len(wav), 0, self.feat_dim)
        padding = padding_mask(self.num_frames(wav_lens), num_frames).unsqueeze(-1)
        feats = self.compute(self.framing.extend_batch(wav, wav_lens))
        return self.normalize(feats, padding).masked_fill(padding, 0.0)

    def extract(self, wav: Tensor) -> Tensor:
        """Features of one utterance: (L,) samples to (T, F)."""
        num_frames = self.num_frames(len(wav))
        if num_frames == 0:
            return wav.new_zeros(0, self.feat_dim)
        return self.normalize(self.compute_blocks(self.framing.extend(wav), num_frames))

    def compute_blocks(self, signal: Tensor, num_frames: int) -> Tensor:
        """The first ``num_frames`` >= 1 frames of ``signal`` (n,), :data:`BLOCK` at a time: (num_frames, F)."""
        starts = range(0, num_frames, BLOCK)
        counts = (min(BLOCK, num_frames - start) for start in starts)
        offsets = (start * self.hop_length for start in starts)
        blocks = [self.compute(signal[at : at + self.framing.span(n)]) for at, n in zip(offsets, counts, strict=True)]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks)

    def stream(self) -> FeatureStream:
        """Start a stream: the same features, of samples that come piece by piece.

        Raises:
            ValueError: these features need the whole utterance.
        """
        if self.not_streamable:
            raise ValueError(f"{self.config.name}: cannot stream, because {self.not_streamable}")
        return FeatureStream(self)

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> nn.Module:
        """Move with the model, but never to half precision, in which neither FFT nor energies are any good."""

        def keep_precision(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return tensor.to(moved.device) if moved.dtype in (torch.float16, torch.bfloat16) else moved

        return super()._apply(keep_precision, *args, **kwargs)


class FeatureStream:
    """Features of one utterance whose samples come piece by piece; all pieces together equal the offline features.

    A frame comes out as soon as the last sample that it sees is in. Dither is off.
    """

    def __init__(self, featurizer: Featurizer) -> None:
        self._featurizer = featurizer
        self._framing = featurizer.framing
        self._signal = featurizer.window.new_zeros(0)
        self._received = 0
        self._done = 0
        self._next: int | None = None  # where in _signal the next frame starts; unknown until the head is mirrored
        self._closed = False

    @torch.no_grad()
    def push(self, samples: Tensor) -> Tensor:
        """Take the next samples (n,), any n; give the frames (k, F) that they complete, k >= 0.

        Raises:
            ValueError: samples of another shape, or after :meth:`flush`.
        """
        if samples.ndim != 1 or self._closed:
            got = "samples after flush()" if self._closed else f"shape {tuple(samples.shape)}"
            raise ValueError(f"stream: expected samples (n,) before flush(), got {got}; one stream per utterance")
        self._signal = torch.cat([self._signal, samples.to(self._signal)])
        self._received += len(samples)
        if self._next is None:
            if self._received < self._framing.window_length - self._framing.left:
                return self._empty()
            self._signal = torch.cat([self._framing.head(self._signal), self._signal])
            self._next = 0
        ready = len(self._signal) - self._next - self._framing.window_length
        return self._take(ready // self._framing.hop_length + 1)

    @torch.no_grad()
    def flush(self) -> Tensor:
        """End the utterance; give the frames (k, F) that see beyond its last sample, k >= 0."""
        self._closed = True
        if self._next is None:
            return self._featurizer.extract(self._signal)
        count = self._framing.num_frames(self._received) - self._done
        if count == 0:
            return self._empty()
        missing = self._next + self._framing.span(count) - len(self._signal)
        self._signal = torch.cat([self._signal, self._framing.tail(self._signal, max(missing, 0))])
        return self._take(count)

    def _take(self, count: int) -> Tensor:
        if count <= 0:
            return self._empty()
        feats = self._featurizer.compute_blocks(self._signal[self._next :], count)
        self._done += count
        # The frame before stays: the mirrored end can reach one sample further back than the last frame.
        self._signal = self._signal[self._next + (count - 1) * self._framing.hop_length :]
        self._next = self._framing.hop_length
        return feats

    def _empty(self) -> Tensor:
        return self._signal.new_zeros(0, self._featurizer.feat_dim)
