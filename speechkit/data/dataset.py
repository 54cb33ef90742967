"""Lists of cuts become batches of tensors. A map-style dataset whose index is the list that the sampler drew::

DataLoader(AsrDataset(tokenizer.encode, 16000), batch_size=None, sampler=BucketSampler(...), num_workers=4)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from lhotse.cut import Cut, MonoCut
from torch import Tensor
from torch.utils.data import Dataset

from speechkit.data.alternatives import alternatives
from speechkit.data.audio import AudioCache, load_audio
from speechkit.data.augment import Augmenter
from speechkit.data.batch import AsrBatch, Slot
from speechkit.data.cuts import transcript
from speechkit.utils.lens import pad_stack


class AsrDataset(Dataset):
    """Reads audio (or features), tokenizes transcripts, pads.

    Args:
        tokenize: Text to token ids; what it refuses with a ``ValueError`` is reported with the cut's id.
        sampling_rate: Hz, of the waveforms; files of other rates are converted.
        features: ``on_the_fly`` gives waveforms, and features are computed from them by the model's featurizer;
            ``precomputed`` gives the features that the manifest points to.
        augmenter: Applied to waveforms of cuts that it has marked (see :class:`Augmenter`); others stay clean.
        cache_audio: Keep decoded audio in memory: 4 bytes a sample, 230 MB an hour at 16 kHz, in every worker
            process. For corpora that train in minutes; use no workers with it.
    """

    def __init__(
        self,
        tokenize: Callable[[str], Sequence[int]],
        sampling_rate: int,
        features: Literal["on_the_fly", "precomputed"] = "on_the_fly",
        augmenter: Augmenter | None = None,
        cache_audio: bool = False,
    ) -> None:
        if features not in ("on_the_fly", "precomputed"):
            raise ValueError(f"features: expected on_the_fly or precomputed, got {features!r}")
        if features == "precomputed" and augmenter is not None:
            raise ValueError("augment: expected none with features=precomputed, got an augmenter; use on_the_fly")
        self.tokenize = tokenize
        self.sampling_rate = sampling_rate
        self.features = features
        self.augmenter = augmenter
        self.cache: AudioCache | None = {} if cache_audio else None

    def __getitem__(self, cuts: Sequence[Cut]) -> AsrBatch:
        """The batch of ``cuts``, in their order.

        Raises:
            ValueError: A cut's audio, features or transcript cannot be used; the message names the cut.
        """
        load = self._load_features if self.features == "precomputed" else self._load_waveform
        inputs, input_lens = pad_stack([load(cut) for cut in cuts])
        tokens, token_lens = pad_stack([self._load_tokens(cut) for cut in cuts], value=0)
        return AsrBatch(
            ids=[cut.id for cut in cuts],
            inputs=inputs,
            input_lens=input_lens,
            is_features=self.features == "precomputed",
            tokens=tokens,
            token_lens=token_lens,
            texts=[transcript(cut) for cut in cuts],
            durations=[cut.duration for cut in cuts],
            alternatives=self._load_alternatives(cuts, tokens, token_lens),
        )

    def _load_waveform(self, cut: Cut) -> Tensor:
        audio = load_audio(cut, self.sampling_rate, self.cache)
        if self.augmenter is not None:
            audio = self.augmenter.perturb_audio(audio, cut, self.sampling_rate)
        return torch.from_numpy(audio if audio.flags.writeable else audio.copy())

    def _load_features(self, cut: Cut) -> Tensor:
        if not cut.has_features:
            raise ValueError(f"cut {cut.id}: expected precomputed features, got none; run the features stage first")
        try:
            feats = _stored_frames(cut)
        except (OSError, ValueError, KeyError, EOFError, AssertionError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f"cut {cut.id}: cannot load its features: {reason}; run the features stage again"
            ) from error
        if not np.isfinite(feats).all():
            raise ValueError(f"cut {cut.id}: its features have NaN or infinite values; run the features stage again")
        return torch.from_numpy(feats)

    def _load_tokens(self, cut: Cut) -> Tensor:
        text = transcript(cut)
        try:
            return torch.tensor(self.tokenize(text), dtype=torch.int64)
        except ValueError as error:
            raise ValueError(f"cut {cut.id}: {error}") from error

    def _load_alternatives(self, cuts: Sequence[Cut], tokens: Tensor, token_lens: Tensor) -> list[list[Slot]] | None:
        """Per utterance; one without any has its transcript alone. None if none has any."""
        found = [alternatives(cut, self.tokenize) for cut in cuts]
        if all(slots is None for slots in found):
            return None
        rows = zip(found, tokens.tolist(), token_lens.tolist())
        return [[[(0.0, row[:length])]] if slots is None else slots for slots, row, length in rows]


def _stored_frames(cut: Cut) -> np.ndarray:
    """The frames of a cut as they were stored, (T, F).

    Lhotse would repeat or drop the last one where a featurizer does not round the number of frames as Lhotse does.
    """
    if not isinstance(cut, MonoCut):
        return cut.load_features()
    stored = cut.features
    reaches_end = cut.end > stored.end - stored.frame_shift / 2
    return stored.load(start=cut.start, duration=None if reaches_end else cut.duration)
