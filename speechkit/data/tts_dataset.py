"""Lists of cuts become batches for synthesis; see :mod:`speechkit.data.dataset`, whose counterpart this is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lhotse.cut import Cut
from torch import Tensor
from torch.utils.data import Dataset

from speechkit.data.audio import AudioCache, load_audio
from speechkit.data.cuts import transcript
from speechkit.data.trim import TrimConfig, trim
from speechkit.data.tts_batch import TtsBatch
from speechkit.utils.lens import pad_stack


@dataclass(frozen=True)
class FrameData:
    """What there is beside audio and text, on the frames of a featurizer.

    Args:
        num_frames: Samples of an utterance to its frames.
        pitch: A cut and its samples (L,) to (T,) Hz, 0 where unvoiced: mostly a
            :class:`~speechkit.data.frame_cache.FrameCache`. None for models that need none.
        token_durations: By cut id, frames of each token (U,). None for models that need none.
    """

    num_frames: Callable[[int], int]
    pitch: Callable[[Cut, np.ndarray], np.ndarray] | None = None
    token_durations: Mapping[str, np.ndarray] | None = None


class TtsDataset(Dataset):
    """Reads audio, trims it, tokenizes transcripts, pads.

    Args:
        tokenize: Text to token ids; what it refuses with a ``ValueError`` is reported with the cut's id.
        sampling_rate: Hz, of the waveforms; files of other rates are converted.
        speaker: The index of who speaks in a cut.
        frame_data: Pitch and durations; None for models that need neither.
        trim_config: Which silence is cut off; None for none.
        cache_audio: Keep decoded audio in memory, as :class:`~speechkit.data.dataset.AsrDataset` does.
    """

    def __init__(
        self,
        tokenize: Callable[[str], Sequence[int]],
        sampling_rate: int,
        speaker: Callable[[Cut], int],
        frame_data: FrameData | None = None,
        trim_config: TrimConfig | None = None,
        cache_audio: bool = False,
    ) -> None:
        self.tokenize, self.sampling_rate, self.speaker = tokenize, sampling_rate, speaker
        self.frame_data, self.trim_config = frame_data or FrameData(len), trim_config
        self.cache: AudioCache | None = {} if cache_audio else None

    def __getitem__(self, cuts: Sequence[Cut]) -> TtsBatch:
        """The batch of ``cuts``, in their order.

        Raises:
            ValueError: A cut's audio, transcript, speaker or durations cannot be used; the message names the cut.
        """
        wavs = [self._load_waveform(cut) for cut in cuts]
        tokens = [self._load_tokens(cut) for cut in cuts]
        padded, wav_lens = pad_stack([torch.from_numpy(wav) for wav in wavs])
        token_ids, token_lens = pad_stack(tokens, value=0)
        return TtsBatch(
            ids=[cut.id for cut in cuts],
            texts=[transcript(cut) for cut in cuts],
            wavs=padded,
            wav_lens=wav_lens,
            tokens=token_ids,
            token_lens=token_lens,
            speakers=torch.tensor([self.speaker(cut) for cut in cuts], dtype=torch.int64),
            durations=[len(wav) / self.sampling_rate for wav in wavs],
            token_durations=self._load_durations(cuts, tokens, wavs),
            pitch=self._load_pitch(cuts, wavs),
        )

    def _load_waveform(self, cut: Cut) -> np.ndarray:
        wav = load_audio(cut, self.sampling_rate, self.cache)
        if self.trim_config is not None:
            wav = trim(wav, self.sampling_rate, self.trim_config)
        return wav if wav.flags.writeable else wav.copy()

    def _load_tokens(self, cut: Cut) -> Tensor:
        text = transcript(cut)
        try:
            tokens = self.tokenize(text)
        except ValueError as error:
            raise ValueError(f"cut {cut.id}: {error}") from error
        if not tokens:
            raise ValueError(f"cut {cut.id}: expected a transcript to speak, got {text!r} without tokens; leave it out")
        return torch.tensor(tokens, dtype=torch.int64)

    def _load_pitch(self, cuts: Sequence[Cut], wavs: Sequence[np.ndarray]) -> Tensor | None:
        if self.frame_data.pitch is None:
            return None
        found = [self.frame_data.pitch(cut, wav) for cut, wav in zip(cuts, wavs, strict=True)]
        for cut, wav, pitch in zip(cuts, wavs, found, strict=True):
            self._check_frames(cut, wav, "values of pitch", len(pitch))
        return pad_stack([torch.from_numpy(pitch) for pitch in found])[0]

    def _load_durations(self, cuts: Sequence[Cut], tokens: Sequence[Tensor], wavs: Sequence[np.ndarray]) -> Tensor | None:
        known = self.frame_data.token_durations
        if known is None:
            return None
        for cut, ids, wav in zip(cuts, tokens, wavs, strict=True):
            if len(known.get(cut.id, ())) != len(ids):
                got = f"those of {len(known[cut.id])}" if cut.id in known else "none"
                raise ValueError(f"cut {cut.id}: expected durations of its {len(ids)} tokens, got {got}; align it again")
            self._check_frames(cut, wav, "durations that add up to frames", int(known[cut.id].sum()))
        return pad_stack([torch.from_numpy(known[cut.id]).to(torch.int64) for cut in cuts])[0]

    def _check_frames(self, cut: Cut, wav: np.ndarray, what: str, got: int) -> None:
        if got != (expected := self.frame_data.num_frames(len(wav))):
            raise ValueError(
                f"cut {cut.id}: {what}: expected {expected}, got {got}; make them with the featurizer and the trimming that "
                "training has"
            )
