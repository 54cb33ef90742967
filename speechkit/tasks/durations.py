"""How long each token lasts, for voices that have to be told: by a recogniser, or by another voice's alignment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lhotse.cut import Cut
from torch import Tensor

from speechkit.config import read_yaml
from speechkit.data.audio import resample
from speechkit.data.loader import BatchLoader
from speechkit.data.token_spans import frames_of_spans, spans_of_tokens
from speechkit.data.tts_batch import TtsBatch
from speechkit.data.tts_dataset import FrameData, TtsDataset
from speechkit.models.acoustic.base import Alignment
from speechkit.nn.attention_durations import attention_durations, monotonic_rate
from speechkit.tasks.align import Aligner
from speechkit.tasks.asr import get_tokenizer
from speechkit.tasks.base import load_config
from speechkit.tasks.manifests import evaluation_sampler, open_splits
from speechkit.tasks.recognizer import Recognizer
from speechkit.tasks.tts import TtsTask
from speechkit.text.tokenizer import Tokenizer
from speechkit.train.trainer import pick_device
from speechkit.utils.model_dir import check_model_dir, load_weights

LEAST_MONOTONIC = 0.8
"""Share of the steps at which attention has to stay or go on by one token; if it jumps more, it says nothing of time."""

Found = np.ndarray | str


class Teacher(Protocol):
    """What knows how long tokens last."""

    frame_data: FrameData

    def tokenize(self, text: str) -> list[int]:
        """The ids that batches are to have."""

    def speaker(self, cut: Cut) -> int:
        """The index of who speaks."""

    def durations(self, batch: TtsBatch) -> list[Found]:
        """Of each utterance the frames (U,) of its tokens; or, in words, why there are none."""


def find_durations(model_dir: Path, config: TtsTask.Config, device: str = "cpu") -> Iterator[tuple[str, Found]]:
    """Ids of all cuts to train and to validate a voice on, with the frames of each token; or with why there are none.

    Args:
        model_dir: A trained recogniser or voice of the same tokens.
        config: The voice that is to be trained.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        ValueError: The model cannot tell durations, or not those of the config's tokens and frames.
    """
    check_model_dir(model_dir)
    kind = Listener if read_yaml(model_dir / "config.yaml").get("task") == "asr" else Voice
    teacher = kind(model_dir, config, pick_device(device))
    cuts = open_splits(list(dict.fromkeys([*config.data.train, *config.data.valid])), config)
    rate = config.featurizer.sampling_rate
    dataset = TtsDataset(teacher.tokenize, rate, teacher.speaker, teacher.frame_data, config.trim)
    loader = BatchLoader(evaluation_sampler(config.data.sampler, cuts), dataset, config.data.num_workers)
    for batch in loader.epoch(0):
        yield from zip(batch.ids, teacher.durations(batch), strict=True)


class Listener:
    """A recogniser that has the voice's tokens, or its sounds and not its pauses: see :func:`frames_of_spans`.

    Args:
        model_dir: Of the recogniser.
        config: Of the voice.
        device: Where to run.
    """

    def __init__(self, model_dir: Path, config: TtsTask.Config, device: torch.device) -> None:
        self.aligner = Aligner(Recognizer.load(model_dir, device=str(device)))
        self.normalizer, self.tokenizer = config.normalizer.build(), get_tokenizer(config)
        self.featurizer = config.featurizer.build()
        self.frame_data = FrameData(self.featurizer.framing.num_frames)

    def tokenize(self, text: str) -> list[int]:
        """See :meth:`Teacher.tokenize`."""
        return self.tokenizer.encode(self.normalizer(text))

    def speaker(self, cut: Cut) -> int:
        """See :meth:`Teacher.speaker`."""
        return 0

    def durations(self, batch: TtsBatch) -> list[Found]:
        """See :meth:`Teacher.durations`."""
        rates = self.featurizer.sampling_rate, self.aligner.recognizer.sampling_rate
        wavs = [wav[:length].numpy() for wav, length in zip(batch.wavs, batch.wav_lens.tolist(), strict=True)]
        heard = self.aligner.align_waveforms(batch.ids, [resample(wav, *rates) for wav in wavs], batch.texts)
        tokens = [ids[:length].tolist() for ids, length in zip(batch.tokens, batch.token_lens.tolist(), strict=True)]
        return [self._frames(*each) for each in zip(heard, tokens, wavs, strict=True)]

    def _frames(self, heard: Any, ids: list[int], wav: np.ndarray) -> Found:
        if isinstance(heard, str):
            return heard
        tokens, names = [self.tokenizer.tokens[i] for i in ids], [word.word for word in heard.tokens]
        spans = spans_of_tokens(tokens, names, [(word.start, word.end) for word in heard.tokens])
        if spans is None:
            return (
                f"expected the recogniser to have the voice's tokens, {' '.join(tokens)!r}, got {' '.join(names)!r}; train "
                "one with the same tokenizer and normalizer"
            )
        return frames_of_spans(tokens, spans, self.featurizer.frame_shift, self.frame_data.num_frames(len(wav)))


class Voice:
    """A voice with attention, or with an aligner of its own.

    Args:
        model_dir: Of that voice.
        config: Of the voice that is to learn from it.
        device: Where to run.

    Raises:
        ValueError: It has been told durations itself, or has other features or tokens.
    """

    def __init__(self, model_dir: Path, config: TtsTask.Config, device: torch.device) -> None:
        own = load_config(model_dir / "config.yaml", task="tts")
        if own.featurizer != config.featurizer:
            raise ValueError(
                f"{model_dir}: featurizer: expected {config.featurizer}, got {own.featurizer}; take another model"
            )
        self.task = task = TtsTask.restore(own, model_dir, device)
        if "durations" in task.model.acoustic.needs or "alignment" not in task.model.acoustic.gives:
            raise ValueError(f"{model_dir}: expected a voice that aligns by itself, got {own.model.name}, which does not")
        task.model.load_state_dict(load_weights(model_dir / "averaged.safetensors"))
        task.model.eval()
        self.normalizer, self.tokenizer = config.normalizer.build(), get_tokenizer(config)
        self.ids = _common_ids(self.tokenizer, task.tokenizer, model_dir)
        self.speaker, self.frame_data = task.speakers, task.frame_data

    def tokenize(self, text: str) -> list[int]:
        """See :meth:`Teacher.tokenize`."""
        return [self.ids[i] for i in self.tokenizer.encode(self.normalizer(text))]

    @torch.inference_mode()
    def durations(self, batch: TtsBatch) -> list[Found]:
        """See :meth:`Teacher.durations`."""
        with self.task.fixed_draws():  # of the dropout that stays on
            speech = self.task.speech(batch.to(self.task.device))
            found = self.task.model(speech).alignment
        frames, reasons = frames_of_alignment(found, speech.feat_lens)
        rows = zip(frames.cpu().numpy().astype(np.int32), reasons, batch.token_lens.tolist(), strict=True)
        return [reason or row[:length] for row, reason, length in rows]


def frames_of_alignment(found: Alignment, frame_lens: Tensor) -> tuple[Tensor, list[str]]:
    """Durations (B, U) that add up to ``frame_lens`` (B,), and for each utterance why they mean nothing; "" if they do.

    Where there is attention alone, a step's frames are those of the token that it attends to most.
    """
    if found.durations is not None:
        return _filled_up(found.durations, frame_lens, found.token_lens), [""] * len(frame_lens)
    weights, lens = found.weights.unsqueeze(1), (found.step_lens, found.token_lens)
    steps, _ = attention_durations(weights, *lens)
    per_step = int((frame_lens.float() / found.step_lens).ceil().max())
    rates = monotonic_rate(weights, *lens).squeeze(1).tolist()
    reasons = [
        f"expected attention that stays or goes on by one token in at least {LEAST_MONOTONIC:.0%} of its steps, got "
        f"{rate:.0%}; train the teacher longer"
        for rate in rates
    ]
    reasons = ["" if rate >= LEAST_MONOTONIC else reason for rate, reason in zip(rates, reasons, strict=True)]
    return _filled_up(per_step * steps, frame_lens, found.token_lens), reasons


def _filled_up(durations: Tensor, frame_lens: Tensor, token_lens: Tensor) -> Tensor:
    """``durations`` (B, U), of which the last ones become longer or shorter, so that they add up to ``frame_lens``."""
    ends = torch.minimum(durations.cumsum(1), frame_lens.unsqueeze(1))
    last = torch.arange(durations.shape[1], device=ends.device) >= (token_lens - 1).unsqueeze(1)
    return torch.where(last, frame_lens.unsqueeze(1), ends).diff(dim=1, prepend=torch.zeros_like(ends[:, :1]))


def _common_ids(tokenizer: Tokenizer, teacher: Tokenizer, model_dir: Path) -> list[int]:
    """The teacher's id of each token.

    Raises:
        ValueError: It lacks some.
    """
    known = {name: i for i, name in enumerate(teacher.tokens)}
    if missing := [name for name in tokenizer.tokens[:-1] if name not in known]:
        raise ValueError(
            f"{model_dir}: expected a model of the same tokens, got one without {' '.join(missing[:8])}; train one with the "
            "same tokenizer and normalizer"
        )
    return [known[name] for name in tokenizer.tokens]
