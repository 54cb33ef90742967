"""Random pieces of recordings for vocoders: which ones is a function of seed, epoch and cut alone."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from lhotse.cut import Cut, MonoCut
from lhotse.utils import fastcopy
from torch import Tensor
from torch.utils.data import Dataset

from speechkit.data.audio import AudioCache, load_audio
from speechkit.data.batch import Recordings
from speechkit.data.sampler import BucketSampler, SamplerConfig
from speechkit.utils.lens import pad_stack

_MARK = "segment"  # key in cut.custom: where a piece lies, 0 at the start of the utterance, 1 at its end


@dataclasses.dataclass(frozen=True)
class SegmentBatch(Recordings):
    """Pieces of B utterances, with as much around each as the features of its frames depend on."""

    ids: list[str]
    """Cut ids."""

    wavs: Tensor
    """(B, L) float32 samples in [-1, 1], zero after each length."""

    wav_lens: Tensor
    """(B,) int64."""

    starts: Tensor
    """(B,) int64, the frame of ``wavs`` at which the piece begins."""

    durations: list[float]
    """Seconds of each piece."""

    @property
    def padding(self) -> float:
        """Share of ``wavs`` that is padding, in [0, 1)."""
        return 1.0 - float(self.wav_lens.sum()) / self.wavs.numel()


class SegmentMarker:
    """Says of a cut where its piece lies in an epoch; takes an augmenter's place in a sampler.

    Args:
        seed: Same seed, same pieces.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, cut: Cut, epoch: int) -> Cut:
        """``cut`` with a mark for :class:`SegmentDataset`."""
        if not isinstance(cut, MonoCut):
            got = type(cut).__name__
            raise ValueError(f"cut {cut.id}: expected a recording with one channel, got a {got}; prepare it as one")
        digest = hashlib.blake2b(f"{self.seed}/{epoch}/{_MARK}/{cut.id}".encode(), digest_size=8).digest()
        place = (int.from_bytes(digest, "big") >> 11) / 2**53  # exactly a float, below 1
        return fastcopy(cut, custom={**(cut.custom or {}), _MARK: place})


class SegmentSampler(BucketSampler):
    """Batches of ``batch_size`` cuts in random order, each marked with the piece of it that is wanted.

    Args:
        cuts: See :class:`BucketSampler`, as for everything but ``batch_size``.
        config: Its duration filters and its window; its budget means nothing where all pieces are equally long.
        batch_size: Pieces in one rank's batch.
        shuffle: Whether batches change with the epoch.
        seed: Of batches and pieces.
        rank: Index of this process.
        world_size: Number of processes.
    """

    def __init__(
        self,
        cuts: Iterable[Cut],
        config: SamplerConfig,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        # All last one second: which are neighbours is up to the jitter alone.
        budget = {"batch_duration": float(batch_size), "max_batch": None, "step_cost": 1.0, "jitter": 0.5}
        super().__init__(
            cuts, config.model_copy(update=budget), shuffle=shuffle, seed=seed, rank=rank, world_size=world_size,
            augmenter=SegmentMarker(seed),
        )  # fmt: skip

    def _duration(self, cut: Cut, epoch: int) -> float:
        return 1.0


@dataclasses.dataclass(frozen=True)
class SegmentShape:
    """How long a piece is.

    Args:
        num_frames: N.
        hop_length: Samples per frame.
        sampling_rate: Hz.
        context: Samples before the first and after the last frame's own that their features depend on.
    """

    num_frames: int
    hop_length: int
    sampling_rate: int
    context: int

    @property
    def context_frames(self) -> int:
        """``context``, in whole frames."""
        return math.ceil(self.context / self.hop_length)


class SegmentDataset(Dataset):
    """Reads the pieces of cuts that a :class:`SegmentSampler` has marked, with their surroundings.

    Where a file has the rate that is asked for, no more of it is decoded than that.

    Args:
        shape: How long pieces are.
        cache_audio: Keep decoded utterances in memory, as :class:`~speechkit.data.dataset.AsrDataset` does.
    """

    def __init__(self, shape: SegmentShape, cache_audio: bool = False) -> None:
        self.shape = shape
        self.cache: AudioCache | None = {} if cache_audio else None

    def __getitem__(self, cuts: Sequence[Cut]) -> SegmentBatch:
        """The batch of ``cuts``, in their order.

        Raises:
            AudioError: A cut's audio cannot be used; the message names the cut.
        """
        found = [self._load(cut) for cut in cuts]
        wavs, wav_lens = pad_stack([torch.from_numpy(wav) for wav, _ in found])
        seconds = self.shape.num_frames * self.shape.hop_length / self.shape.sampling_rate
        starts = torch.tensor([start for _, start in found], dtype=torch.int64)
        return SegmentBatch([cut.id for cut in cuts], wavs, wav_lens, starts, [seconds] * len(cuts))

    def _load(self, cut: Cut) -> tuple[np.ndarray, int]:
        """Samples, and the frame of them at which the piece begins; an utterance that is too short goes on in silence."""
        shape, around = self.shape, self.shape.context_frames
        total = round(cut.duration * shape.sampling_rate)
        start = int(cut.custom[_MARK] * max(1, total // shape.hop_length - shape.num_frames + 1))
        first = max(0, start - around)
        wav = self._read(cut, first * shape.hop_length, min(total, (start + shape.num_frames + around) * shape.hop_length))
        missing = (start - first + shape.num_frames) * shape.hop_length - len(wav)
        return np.pad(wav, (0, max(0, missing))), start - first

    def _read(self, cut: MonoCut, begin: int, end: int) -> np.ndarray:
        rate, recording = self.shape.sampling_rate, cut.recording
        as_it_is = recording is not None and recording.sampling_rate == rate and not recording.transforms
        if self.cache is None and as_it_is:
            return load_audio(cut.truncate(offset=begin / rate, duration=(end - begin) / rate, preserve_id=True), rate)
        return load_audio(cut, rate, self.cache)[begin:end]
