"""A trained recogniser in use: ``speechkit.load("exp/ctc").transcribe("talk.wav").text``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speechkit.config import ComponentConfig
from speechkit.data.audio import read_audio, resample
from speechkit.decode.base import Hypothesis, Search
from speechkit.decode.words import Word, text, words
from speechkit.models.asr import AsrModel
from speechkit.tasks.asr import AsrTask, build_model
from speechkit.tasks.base import load_config
from speechkit.text.tokenizer import Tokenizer
from speechkit.train.checkpoint import read_metadata
from speechkit.train.trainer import pick_device
from speechkit.utils.lens import pad_stack
from speechkit.utils.model_dir import check_model_dir, load_weights

# Longer recordings are cut at their quietest points: attention's cost grows with the square, and a network that has only
# heard short utterances loses the thread in long ones.
MAX_SEGMENT_SECONDS = 30.0
MIN_SEGMENT_SECONDS = 4.0  # but shorter pieces would cut through words
QUIET_WINDOW_SECONDS = 0.2
BATCH_SECONDS = 120.0


@dataclass(frozen=True)
class Transcript:
    """What was said in one recording."""

    text: str
    words: list[Word] = field(default_factory=list)
    """With start and end in seconds and a confidence in [0, 1]."""
    duration: float = 0.0
    """Of the recording, in seconds."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class Recognizer:
    """Network, tokenizer and search of a trained model.

    Args:
        config: The experiment's config.
        tokenizer: Fitted.
        model: With trained weights, on ``device``.
        device: Where to run.
        max_seconds: Longer recordings are cut into pieces of at most this, in seconds.
        model_dir: Where the model lies, for searches that read more of its files.
    """

    def __init__(
        self,
        config: AsrTask.Config,
        tokenizer: Tokenizer,
        model: AsrModel,
        device: torch.device,
        max_seconds: float = MAX_SEGMENT_SECONDS,
        model_dir: Path | None = None,
    ) -> None:
        self.config, self.tokenizer, self.model, self.device = config, tokenizer, model.eval(), device
        self.model_dir = model_dir
        self.search = self.build_search(config.search)
        self.sampling_rate = config.featurizer.sampling_rate
        self.normalizer = config.normalizer.build()
        self.max_seconds = min(max(max_seconds, MIN_SEGMENT_SECONDS), MAX_SEGMENT_SECONDS)

    @classmethod
    def load(cls, model_dir: Path, device: str = "cpu", search: Any = None) -> Recognizer:
        """Read a model directory, after comparing it with its checksums.

        Raises:
            ValueError: A file is missing, altered or unreadable; the message names it.
        """
        check_model_dir(model_dir)
        config = load_config(model_dir / "config.yaml", task="asr", **({} if search is None else {"search": search}))
        tokenizer = Tokenizer.load(model_dir / "tokenizer")
        model = build_model(config, tokenizer.vocabulary)
        model.load_state_dict(load_weights(model_dir / "averaged.safetensors"))
        where = pick_device(device)
        longest = read_metadata(model_dir / "averaged.safetensors")["longest_seconds"]
        return cls(config, tokenizer, model.to(where), where, longest, model_dir)

    def transcribe(self, audio: str | Path | bytes | np.ndarray, sampling_rate: int | None = None) -> Transcript:
        """Recognise one recording of any length.

        Args:
            audio: A path, the bytes of an audio file, or samples (L,) in [-1, 1].
            sampling_rate: Of samples given as an array, in Hz; the model's own unless given.

        Returns:
            Text, and words with times in seconds.

        Raises:
            ValueError: The audio cannot be read; the message names the file.
        """
        wav = self._read(audio, sampling_rate)
        borders = split_at_pauses(wav, self.sampling_rate, self.max_seconds)
        best = [hypotheses[0] for hypotheses in self._search_all(wav, borders)]
        seconds = [border / self.sampling_rate for border in borders]
        found = [w for each, *span in zip(best, seconds, seconds[1:]) for w in self.words(each, *span)]
        text = " ".join(filter(None, (self.text(each) for each in best)))
        return Transcript(text, found, len(wav) / self.sampling_rate)

    def _read(self, audio: str | Path | bytes | np.ndarray, sampling_rate: int | None) -> np.ndarray:
        if not isinstance(audio, np.ndarray):
            return read_audio(audio, self.sampling_rate)
        if audio.ndim != 1 or not np.isfinite(audio).all():
            raise ValueError(f"audio: expected finite samples (L,), got an array {audio.shape}; average the channels first")
        if audio.dtype.kind != "f":
            raise ValueError(f"audio: expected samples in [-1, 1], got {audio.dtype}; divide by the type's range (int16: 32768)")
        return resample(audio.astype(np.float32, copy=False), sampling_rate or self.sampling_rate, self.sampling_rate)

    def _search_all(self, wav: np.ndarray, segments: Sequence[int]) -> list[list[Hypothesis]]:
        pieces = [wav[start:end] for start, end in zip(segments[:-1], segments[1:])]
        size = max(1, int(BATCH_SECONDS // self.max_seconds))
        return [each for i in range(0, len(pieces), size) for each in self.search_wavs(pieces[i : i + size])]

    def search_wavs(self, wavs: Sequence[np.ndarray]) -> list[list[Hypothesis]]:
        """N-best lists of several recordings at once, each (L,) at the model's sampling rate."""
        inputs, lens = pad_stack([torch.from_numpy(np.ascontiguousarray(wav)) for wav in wavs])
        return self.search_batch(inputs, lens, is_features=False)

    def search_batch(self, inputs: Tensor, lens: Tensor, is_features: bool) -> list[list[Hypothesis]]:
        """N-best lists of a padded batch of waveforms (B, L) or features (B, T, F)."""
        return self.search_encoded(*self.encode(inputs, lens, is_features))

    @torch.inference_mode()
    def encode(self, inputs: Tensor, lens: Tensor, is_features: bool) -> tuple[Tensor, Tensor]:
        """Encodings (B, S, D) and their lengths (B,) of a padded batch of waveforms (B, L) or features (B, T, F)."""
        return self.model(inputs.to(self.device), lens.to(self.device), is_features)

    @torch.inference_mode()
    def search_encoded(self, encoder_out: Tensor, lens: Tensor) -> list[list[Hypothesis]]:
        """N-best lists of a batch of encodings (B, S, D)."""
        return self.search.decode(self.model.decoders, encoder_out, lens)

    def build_search(self, config: ComponentConfig) -> Search:
        """Another search for this model.

        Raises:
            ValueError: It would read a decoder in another way than that was trained.
        """
        config.component.check_reading(config, self.config.objectives)
        return config.build(vocabulary=self.tokenizer.vocabulary, tokenizer=self.tokenizer, model_dir=self.model_dir)

    def text(self, hypothesis: Hypothesis) -> str:
        """What a hypothesis says."""
        return text(hypothesis, self.tokenizer)

    def words(self, hypothesis: Hypothesis, start: float, end: float) -> list[Word]:
        """The words of a hypothesis about the stretch from ``start`` to ``end`` (seconds) of a recording."""
        return [
            Word(word.word, word.start + start, word.end + start, word.confidence)
            for word in words(hypothesis, self.tokenizer, self.model.frame_shift, end - start)
        ]


def split_at_pauses(wav: np.ndarray, sampling_rate: int, max_seconds: float = MAX_SEGMENT_SECONDS) -> list[int]:
    """Where to cut a long recording: borders in samples, first 0 and last L, no piece longer than ``max_seconds``.

    Each cut lies at the quietest moment of the second half of the longest piece allowed.
    """
    longest, window = int(max_seconds * sampling_rate), int(QUIET_WINDOW_SECONDS * sampling_rate)
    borders = [0]
    while len(wav) - borders[-1] > longest:
        start = borders[-1] + longest // 2
        energy = np.cumsum(np.square(wav[start : borders[-1] + longest], dtype=np.float64))
        quietest = int(np.argmin(energy[window:] - energy[:-window]))
        borders.append(start + quietest + window // 2)
    return [*borders, len(wav)]
