"""Known words in recordings, with their times: forced alignment by a trained recogniser."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lhotse.cut import Cut
from torch import Tensor

from speechkit.data.audio import read_audio
from speechkit.data.batch import Targets
from speechkit.data.cuts import checked_cuts, transcript
from speechkit.data.dataset import AsrDataset
from speechkit.data.loader import BatchLoader
from speechkit.decode.base import Hypothesis
from speechkit.decode.words import Word, apart, words
from speechkit.graphs.aligner import Alignment
from speechkit.objectives.base import Objective
from speechkit.tasks.asr import build_objectives
from speechkit.tasks.manifests import evaluation_sampler, split_paths
from speechkit.tasks.recognizer import BATCH_SECONDS, Recognizer, split_at_pauses
from speechkit.text.phone import PhoneTokenizer
from speechkit.utils.lens import pad_stack
from speechkit.utils.utterances import named

MOST_CELLS = 4_000_000_000  # frames times tokens of one recording, each of which takes two bytes


@dataclass(frozen=True)
class AlignedSpeech:
    """An utterance with the times of its words. Times are in seconds from its start."""

    id: str
    """Of the cut, or the recording's file name."""
    recording: str
    """What the utterance is a part of."""
    channel: int
    """Of the recording, from 0."""
    start: float
    """Of the utterance in the recording, in seconds."""
    duration: float
    """Seconds."""
    score: float
    """Log-likelihood of the path (nats)."""
    words: list[Word]
    """In order, not overlapping."""
    tokens: list[Word]
    """The model's tokens that are not blank, in order; those that one frame emits share it."""
    unit: str
    """What the tokens are: ``phones``, or ``tokens``."""


@dataclass(frozen=True)
class _Text:
    """A transcript as tokens, and as words where the tokenizer cannot tell them from the tokens."""

    tokens: list[int]
    words: list[tuple[str, int, int]] | None


class Aligner:
    """Aligns transcripts with one objective of a recogniser.

    Args:
        recognizer: Trained.
        objective: Its name; the first that has alignments unless given.

    Raises:
        ValueError: The model has no such objective, or none with alignments.
    """

    def __init__(self, recognizer: Recognizer, objective: str | None = None) -> None:
        self.recognizer, self.tokenizer = recognizer, recognizer.tokenizer
        self.name, self.objective = _pick(recognizer, objective)
        self.objective.to(recognizer.device)
        self.decoder = recognizer.model.decoders[self.name]

    def align_set(self, name: str) -> tuple[list[AlignedSpeech], list[str]]:
        """Align all cuts of a split or manifest.

        Returns:
            What could be aligned, in the order of the manifest, and a line about each cut that could not.
        """
        (path,) = split_paths([name], self.recognizer.config)
        cuts = {cut.id: cut for cut in checked_cuts(path)}
        texts, problems = self._texts(cuts.values())
        found = {}
        for ids, alignments, durations in self._batches([cuts[i] for i in texts], texts):
            for i, alignment, duration in zip(ids, alignments, durations):
                if alignment.score == -np.inf:
                    problems[i] = self._no_path(f"cut {i}", texts[i], duration)
                else:
                    begins = self._shift * np.arange(alignment.token_times[-1][1] + 1)
                    found[i] = self._speech(alignment, texts[i], begins, **_place(cuts[i]))
        return [found[i] for i in cuts if i in found], [problems[i] for i in cuts if i in problems]

    @torch.inference_mode()
    def align_recording(self, path: Path, text: str) -> AlignedSpeech:
        """Align one recording of any length with what is said in it.

        A long one goes through the network in pieces, as when it is recognised; the path goes through all of it.

        Raises:
            ValueError: The audio cannot be read, or the text cannot be aligned with it; the message names the file.
        """
        rate = self.recognizer.sampling_rate
        wav = read_audio(path, rate)
        try:
            known = self._encode(text)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        borders = split_at_pauses(wav, rate, self.recognizer.max_seconds)
        encoder_out, begins = self._encode_pieces(wav, borders)
        if len(encoder_out) * len(known.tokens) > MOST_CELLS:
            raise ValueError(
                f"{path}: expected at most {MOST_CELLS} frames times tokens, got {len(encoder_out)} times "
                f"{len(known.tokens)}; cut the recording and its text into several"
            )
        lens = torch.tensor([len(encoder_out)], device=encoder_out.device)
        with named([str(path)]):
            (alignment,) = self.objective.align(self.decoder, encoder_out[None], lens, self._targets([known]))
        if alignment.score == -np.inf:
            raise ValueError(self._no_path(str(path), known, len(wav) / rate))
        place = {"id": path.stem, "recording": path.stem, "channel": 0, "start": 0.0, "duration": len(wav) / rate}
        return self._speech(alignment, known, begins, **place)

    @torch.inference_mode()
    def align_waveforms(
        self, ids: Sequence[str], wavs: Sequence[np.ndarray], texts: Sequence[str]
    ) -> list[AlignedSpeech | str]:
        """Align short recordings, as one batch.

        Args:
            ids: What they are called.
            wavs: Of each one the samples (L,) at the recogniser's rate.
            texts: What is said in each.

        Returns:
            Of each one what was found; or, in words, why nothing was.
        """
        found: list[AlignedSpeech | str] = [self._encode_or_reason(text) for text in texts]
        good = [i for i, known in enumerate(found) if not isinstance(known, str)]
        if not good:
            return found
        known = [found[i] for i in good]
        inputs, lens = pad_stack([torch.from_numpy(np.ascontiguousarray(wavs[i])) for i in good])
        encoder_out, out_lens = self.recognizer.encode(inputs, lens, is_features=False)
        with named([ids[i] for i in good]):
            alignments = self.objective.align(self.decoder, encoder_out, out_lens, self._targets(known))
        for i, text, alignment in zip(good, known, alignments, strict=True):
            seconds = len(wavs[i]) / self.recognizer.sampling_rate
            place = {"id": ids[i], "recording": ids[i], "channel": 0, "start": 0.0, "duration": seconds}
            found[i] = self._unless_none(alignment, text, place)
        return found

    def _unless_none(self, alignment: Alignment, text: _Text, place: dict[str, Any]) -> AlignedSpeech | str:
        if alignment.score == -np.inf:
            return self._no_path("alignment", text, place["duration"])
        begins = self._shift * np.arange(alignment.token_times[-1][1] + 1)
        return self._speech(alignment, text, begins, **place)

    # --- texts ----------------------------------------------------------------------------------------------------

    def _encode(self, text: str) -> _Text:
        normalized = self.recognizer.normalizer(text)
        tokens = self.tokenizer.encode(normalized)
        if not tokens:
            raise ValueError(f"expected words to align, got {text!r}, of which nothing is left to say; give its transcript")
        if not isinstance(self.tokenizer, PhoneTokenizer):
            return _Text(tokens, None)
        spans, first = [], 0
        for word in normalized.split():
            last = first + len(self.tokenizer.encode(word))
            spans.append((word, first, last))
            first = last
        return _Text(tokens, spans)

    def _encode_or_reason(self, text: str) -> _Text | str:
        try:
            return self._encode(text)
        except ValueError as error:
            return str(error)

    def _texts(self, cuts: Iterable[Cut]) -> tuple[dict[str, _Text], dict[str, str]]:
        texts, problems = {}, {}
        for cut in cuts:
            try:
                texts[cut.id] = self._encode(transcript(cut))
            except ValueError as error:
                problems[cut.id] = f"cut {cut.id}: {error}"
        return texts, problems

    def _targets(self, texts: Sequence[_Text]) -> Targets:
        tokens, lens = pad_stack([torch.tensor(text.tokens, dtype=torch.int64) for text in texts], value=0)
        return Targets(tokens.to(self.recognizer.device), lens.to(self.recognizer.device))

    def _no_path(self, what: str, text: _Text, duration: float) -> str:
        return (
            f"{what}: expected a path for its {len(text.tokens)} tokens, got none in {duration:.2f} s of audio; look whether "
            "this is its transcript and whether the audio is whole"
        )

    # --- frames ---------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def _batches(self, cuts: list[Cut], texts: dict[str, _Text]) -> Iterable[tuple[list[str], list[Alignment], list[float]]]:
        config = self.recognizer.config
        dataset = AsrDataset(lambda text: [], self.recognizer.sampling_rate, config.data.features)
        for batch in BatchLoader(evaluation_sampler(config.data.sampler, cuts), dataset).epoch(0):
            encoder_out, lens = self.recognizer.encode(batch.inputs, batch.input_lens, batch.is_features)
            targets = self._targets([texts[i] for i in batch.ids])
            with named(batch.ids):
                yield batch.ids, self.objective.align(self.decoder, encoder_out, lens, targets), batch.durations

    def _encode_pieces(self, wav: np.ndarray, borders: list[int]) -> tuple[Tensor, np.ndarray]:
        """Encodings (S, D) of a recording cut at ``borders``, and the samples (S + 1,) where frames begin, and the last ends."""
        size = max(1, int(BATCH_SECONDS // self.recognizer.max_seconds))
        encodings, begins = [], [np.zeros(0, dtype=np.int64)]
        for i in range(0, len(borders) - 1, size):
            pieces = list(zip(borders[i : i + size], borders[i + 1 : i + 1 + size]))
            inputs, lens = pad_stack([torch.from_numpy(np.ascontiguousarray(wav[a:b])) for a, b in pieces])
            encoder_out, out_lens = self.recognizer.encode(inputs, lens, is_features=False)
            encodings += [row[:length] for row, length in zip(encoder_out, out_lens.tolist())]
            begins += [a + self._shift * np.arange(length) for (a, _), length in zip(pieces, out_lens.tolist())]
        return torch.cat(encodings), np.append(np.concatenate(begins), len(wav))

    @property
    def _shift(self) -> int:
        """Samples from one encoder frame to the next."""
        return round(self.recognizer.model.frame_shift * self.recognizer.sampling_rate)

    def _speech(self, alignment: Alignment, text: _Text, begins: np.ndarray, duration: float, **place: Any) -> AlignedSpeech:
        """What an alignment says of an utterance whose frames begin at the samples ``begins``."""
        second = self.recognizer.sampling_rate
        # A frame lasts as long as any, also where the one after it begins later.
        ends = [begins[last - 1] + self._shift if last > first else begins[first] for first, last in alignment.token_times]
        times = [(int(begins[first]), int(end)) for (first, _), end in zip(alignment.token_times, ends)]
        hypothesis = Hypothesis(text.tokens, alignment.score, {}, times, alignment.confidences, text.words)
        tokens = [
            Word(self.tokenizer.tokens[token], min(first / second, duration), min(last / second, duration), confidence)
            for token, (first, last), confidence in zip(text.tokens, apart(times), alignment.confidences)
        ]
        found = words(hypothesis, self.tokenizer, 1 / second, duration)
        unit = "phones" if isinstance(self.tokenizer, PhoneTokenizer) else "tokens"
        return AlignedSpeech(**place, duration=duration, score=alignment.score, words=found, tokens=tokens, unit=unit)


def _pick(recognizer: Recognizer, wanted: str | None) -> tuple[str, Objective]:
    objectives = build_objectives(recognizer.config, recognizer.tokenizer)
    fitting = [name for name, each in objectives.items() if each.has_alignments]
    if not fitting:
        raise ValueError(
            f"{recognizer.model_dir}: expected an objective whose paths tell where the tokens lie in time, such as ctc, got "
            f"{', '.join(objectives)}; take another model"
        )
    name = wanted or fitting[0]
    if name not in fitting:
        near = difflib.get_close_matches(name, fitting, n=1)
        hint = f"did you mean {near[0]!r}? " if near and name not in objectives else ""
        problem = f"{name} has no alignments" if name in objectives else f"the model has no objective {name!r}"
        raise ValueError(f"--objective: {problem}; {hint}it can align with: {', '.join(fitting)}")
    objective = objectives[name]
    objective.load(recognizer.model_dir / "objectives" / name)
    return name, objective


def _place(cut: Cut) -> dict[str, Any]:
    """Where an utterance lies: in its recording, or, for a mixture, in itself."""
    recording = getattr(cut, "recording", None)
    if recording is None or not isinstance(cut.channel, int):
        return {"id": cut.id, "recording": cut.id, "channel": 0, "start": 0.0, "duration": cut.duration}
    place = {"recording": recording.id, "channel": cut.channel, "start": cut.start}
    return {"id": cut.id, **place, "duration": cut.duration}
