"""What the data layer hands to the task of synthesis."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from speechkit.data.batch import Recordings


@dataclasses.dataclass(frozen=True)
class TtsBatch(Recordings):
    """B recorded utterances with what was said in them, and by whom."""

    ids: list[str]
    """Cut ids."""

    texts: list[str]
    """Transcripts as the manifest has them."""

    wavs: Tensor
    """(B, L) float32 samples in [-1, 1], zero after each length."""

    wav_lens: Tensor
    """(B,) int64."""

    tokens: Tensor
    """(B, U) int64, zero after each length."""

    token_lens: Tensor
    """(B,) int64, at least 1."""

    speakers: Tensor
    """(B,) int64, index in the table of speakers."""

    durations: list[float]
    """Seconds of audio, without what was trimmed."""

    token_durations: Tensor | None = None
    """(B, U) int64 frames of each token, zero after each length."""

    pitch: Tensor | None = None
    """(B, T) float32 Hz, 0 where unvoiced and after each length."""

    @property
    def padding(self) -> float:
        """Share of ``wavs`` that is padding, in [0, 1)."""
        return 1.0 - float(self.wav_lens.sum()) / self.wavs.numel()
