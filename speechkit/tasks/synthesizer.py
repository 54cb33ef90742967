"""A trained voice in use: ``speechkit.load("exp/fastspeech2").synthesize("Hello there.").save("hello.wav")``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.data.speakers import SpeakerTable
from speechkit.models.acoustic.base import AcousticModel, Controls, Spoken
from speechkit.models.tts import TtsModel
from speechkit.models.vocoder.base import Vocoder, VocoderInput
from speechkit.models.vocoder.griffin_lim import GriffinLim
from speechkit.nn.weight_norm import remove_weight_norm
from speechkit.tasks.tts import GRIFFIN_LIM, TtsTask
from speechkit.tasks.utterance import Utterance, join, silence
from speechkit.tasks.vocoder import load_vocoder
from speechkit.tasks.voice import WEIGHTS, load_voice
from speechkit.text.passages import Passage, Pauses, split_passages
from speechkit.text.scripts import has_ideograph
from speechkit.text.spoken import SpokenTokenizer
from speechkit.text.ssml import is_ssml
from speechkit.text.tokenizer import UNK, Tokenizer
from speechkit.train.checkpoint import read_metadata
from speechkit.train.trainer import pick_device
from speechkit.utils import log
from speechkit.utils.files import find_file

SPEEDS = (0.1, 10.0)
# Longer sentences are said in parts, for voices that have only heard short ones lose their way in them.
CHARACTERS_PER_SECOND, IDEOGRAPHS_PER_SECOND = 14.0, 4.5
MIN_SECONDS = 6.0  # but shorter parts would tear sentences apart


@dataclass(frozen=True)
class Manner:
    """How to say something."""

    speaker: str | None = None
    """Name of one of the speakers of the training data; None for the first."""
    speed: float = 1.0
    """Times as fast as usual. Of models that do not say how long tokens are, frames are drawn out; see :func:`stretch`."""
    pitch_shift: float = 0.0
    """Semitones; for models that predict pitch."""
    energy_scale: float = 1.0
    """Factor; for models that predict energy."""
    temperature: float | None = None
    """Deviation of the noise, for models that sample, where 1 is that of training; None for the model's usual one."""
    duration_temperature: float | None = None
    """Likewise of durations."""
    seed: int = 0
    """Of all random numbers: the same text in the same manner is the same samples."""
    pauses: Pauses = Pauses()
    """Silence between sentences."""

    def __post_init__(self) -> None:
        low, high = SPEEDS
        if not low <= self.speed <= high:
            raise ValueError(f"speed: expected {low:g} to {high:g} times the usual one, got {self.speed:g}")
        if not math.isfinite(self.pitch_shift):
            raise ValueError(f"pitch_shift: expected semitones, got {self.pitch_shift:g}")
        for name in ("energy_scale", "temperature", "duration_temperature"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name}: expected 0 or more, got {value:g}")

    @property
    def asks(self) -> dict[str, Any]:
        """What is asked of the model that is not its usual way, by the names of :class:`Controls`."""
        usual = {"speed": 1.0, "pitch_shift": 0.0, "energy_scale": 1.0, "temperature": None, "duration_temperature": None}
        return {name: value for name in usual if (value := getattr(self, name)) != usual[name]}


class Synthesizer:
    """Tokenizer, network and vocoder of a trained voice.

    Args:
        config: The experiment's config.
        tokenizer: Fitted.
        speakers: Who can speak.
        model: With trained weights, on ``device``.
        vocoder: Of the same features, on ``device``; None for models that go on to the waveform.
        device: Where to run.
        max_seconds: Longer sentences are said in parts of at most about this long, in seconds.
    """

    def __init__(
        self,
        config: TtsTask.Config,
        tokenizer: Tokenizer,
        speakers: SpeakerTable,
        model: TtsModel,
        vocoder: Vocoder | None,
        device: torch.device,
        max_seconds: float = math.inf,
    ) -> None:
        self.config, self.tokenizer, self.speakers, self.device = config, tokenizer, speakers, device
        self.model, self.vocoder = model.eval(), vocoder
        self.normalizer = config.normalizer.build()
        self.sampling_rate, self.hop_length = model.featurizer.sampling_rate, model.featurizer.hop_length
        self.max_seconds = max(max_seconds, MIN_SECONDS)

    @classmethod
    def load(cls, model_dir: Path, device: str = "cpu", vocoder: str | Path | None = None) -> Synthesizer:
        """Read a voice's model directory, after comparing it with its checksums, and its vocoder.

        Args:
            model_dir: An experiment folder after ``speechkit average``, or a copy of its model files.
            device: ``cpu``, ``cuda`` or ``auto``.
            vocoder: ``griffin_lim``, or a trained vocoder's model directory; None for the one that the config names.

        Raises:
            ValueError: A file is missing, altered or unreadable (the message names it), or the vocoder speaks other
                features.
        """
        overrides = [] if vocoder is None else [f"vocoder={json.dumps(str(vocoder))}"]
        voice, where = load_voice(model_dir, overrides), pick_device(device)
        model = voice.model.to(where)
        remove_weight_norm(model)
        by_itself = "segments" in model.acoustic.gives
        spoken_by = None if by_itself else find_vocoder(voice.config.vocoder, model_dir, model, where)
        longest = read_metadata(model_dir / WEIGHTS)["longest_seconds"]
        return cls(voice.config, voice.tokenizer, voice.speakers, model, spoken_by, where, longest)

    # --- texts ----------------------------------------------------------------------------------------------------

    def synthesize(self, text: str, **manner: Any) -> Utterance:
        """Say a text of any length.

        Args:
            text: Plain text, or SSML as :func:`~speechkit.text.ssml.parse_ssml` takes it.
            manner: Fields of :class:`Manner`: ``speaker="p225", speed=1.2, seed=3``.

        Raises:
            ValueError: There is nothing to say in the text, a symbol in it is none of the voice's, no speaker has the name,
                or the model cannot do what is asked of it.
        """
        return join(list(self.stream(text, **manner)), text)

    def stream(self, text: str, **manner: Any) -> Iterator[Utterance]:
        """Say a text as :meth:`synthesize` does, passage by passage: each is made when it is asked for.

        A passage is a sentence with the silence behind it, a part of one that is long, or what markup wants said in another
        manner. The samples one after the other are those of :meth:`synthesize`. The text is checked before the first one.
        """
        wanted = Manner(**manner)
        passages = [(each, self.tokenize(each.text)) for each in self._passages(text, wanted)]
        if not any(self._has_sound(tokens) for _, tokens in passages):
            raise ValueError(f"expected a text to say, got {_short(text)}, in which nothing is a token of this voice")
        for each, _ in passages:
            self._check(_in_manner(each, wanted))
        return self._say_all(passages, wanted)

    def _passages(self, text: str, manner: Manner) -> list[Passage]:
        per_second = IDEOGRAPHS_PER_SECOND if has_ideograph(text) else CHARACTERS_PER_SECOND
        spoken = isinstance(self.tokenizer, SpokenTokenizer)
        longest = None if math.isinf(self.max_seconds) else int(self.max_seconds * per_second)
        alphabet = self.tokenizer.alphabet if spoken else None
        passages = split_passages(text, alphabet, longest, manner.pauses)
        if is_ssml(text) and not spoken and any("{" in each.text for each in passages):
            name = self.tokenizer.config.name
            raise ValueError(f"SSML: expected no <phoneme>, for this voice reads letters (tokenizer {name}); use <sub>")
        return passages

    def tokenize(self, text: str) -> list[int]:
        """Normalise, then encode."""
        return self.tokenizer.encode(self.normalizer(text))

    def _has_sound(self, tokens: Sequence[int]) -> bool:
        return any(token != self.tokenizer.unk_id for token in tokens)

    def _say_all(self, passages: Sequence[tuple[Passage, list[int]]], manner: Manner) -> Iterator[Utterance]:
        generator = self.generator(manner.seed)
        for passage, tokens in passages:
            parts = []
            if self._has_sound(tokens):
                parts.append(self.say(tokens, _in_manner(passage, manner), generator, passage.text))
                self._warn(parts[0])
            if passage.pause:
                parts.append(silence(passage.pause, self.sampling_rate, self.hop_length))
            if parts:
                yield join(parts, passage.text)

    def _warn(self, said: Utterance) -> None:
        what = _short(said.text)
        if unknown := said.tokens.count(UNK):
            log.warn(f"{what}: {unknown} of {len(said.tokens)} symbols are unknown to this voice")
        if not said.finished:
            log.warn(
                f"{what}: stopped after {said.duration:.1f} s, because the model did not end; say it in shorter sentences"
            )
        if said.num_clipped:
            log.warn(f"{what}: {said.num_clipped} samples are too loud and were clipped")

    # --- one passage ----------------------------------------------------------------------------------------------

    def generator(self, seed: int) -> torch.Generator:
        """Where the random numbers of an utterance come from."""
        return torch.Generator(self.device).manual_seed(seed)

    @torch.inference_mode()
    def say(self, tokens: Sequence[int], manner: Manner, generator: torch.Generator, text: str) -> Utterance:
        """Say some tokens, at least one, at once.

        Args:
            tokens: As :meth:`tokenize` gives them.
            manner: In which manner; its seed and pauses do not matter here.
            generator: Of random numbers.
            text: That they are of, to be named.

        Raises:
            ValueError: The model cannot do what is asked of it, or what it says is not finite.
        """
        self._check(manner)
        ids = torch.tensor([tokens], dtype=torch.int64, device=self.device)
        spoken = self.model.synthesize(
            ids, torch.tensor([len(tokens)], device=self.device), self._controls(manner, generator)
        )
        if spoken.feats is not None and "speed" not in self.model.acoustic.controls:
            spoken = stretch(spoken, manner.speed)
        wav = spoken.wav
        if wav is None:
            self._check_finite(spoken.feats, f"features of model {self.config.model.name}", text)
            wav, _ = self.vocoder.generate(spoken.feats, spoken.feat_lens, generator)
        self._check_finite(wav, "samples", text)
        frames = int(spoken.feat_lens[0])
        return Utterance(
            wav[0, : frames * self.hop_length].float().cpu().numpy(),
            self.sampling_rate,
            text,
            tuple(self.tokenizer.tokens[token] for token in tokens),
            tuple(spoken.durations[0].tolist()),
            self.hop_length / self.sampling_rate,
            spoken.finished is None or bool(spoken.finished[0]),
            None if spoken.pitch is None else spoken.pitch[0, :frames].float().cpu().numpy(),
            None if spoken.alignment is None else spoken.alignment[0, :frames].float().cpu().numpy(),
        )

    @torch.inference_mode()
    def vocode(self, samples: np.ndarray, seed: int = 0) -> np.ndarray:
        """A recording (L,) at the voice's sampling rate as the vocoder says it, from the features that it has.

        Raises:
            ValueError: The model goes on to the waveform, so that there is no vocoder.
        """
        if self.vocoder is None:
            raise ValueError(f"model {self.config.model.name}: expected a model beside which there is a vocoder, got one without")
        wav = torch.from_numpy(np.ascontiguousarray(samples)).to(self.device).unsqueeze(0)
        feats, lens = self.model.features(wav, torch.tensor([len(samples)], device=self.device))
        said, _ = self.vocoder.generate(feats, lens, self.generator(seed))
        self._check_finite(said, "samples", "a recording")
        return said[0].float().cpu().numpy()

    def _controls(self, manner: Manner, generator: torch.Generator) -> Controls:
        obeyed = {name: value for name, value in manner.asks.items() if name in self.model.acoustic.controls}
        speaker = 0 if manner.speaker is None else self.speakers.index(manner.speaker)
        return Controls(torch.tensor([speaker], device=self.device), generator=generator, **obeyed)

    def _check(self, manner: Manner) -> None:
        """Refuse what the model cannot do."""
        if manner.speaker is not None:
            self.speakers.index(manner.speaker)
        by_frames = set() if "segments" in self.model.acoustic.gives else {"speed"}
        for name in manner.asks.keys() - self.model.acoustic.controls - by_frames:
            others = ", ".join(sorted(each for each, model in AcousticModel.registry.items() if name in model.controls))
            raise ValueError(
                f"{name}: expected the usual one, for model {self.config.model.name} cannot change it, got "
                f"{getattr(manner, name):g}; voices that can are of {others or 'no model'}"
            )

    def _check_finite(self, values: Tensor, what: str, text: str) -> None:
        if not values.isfinite().all():
            raise ValueError(
                f"{_short(text)}: {what}: expected finite values, got NaN or infinity; average the weights of earlier steps, "
                "or train again with a smaller learning rate"
            )


def find_vocoder(name: str, model_dir: Path, model: TtsModel, device: torch.device) -> Vocoder:
    """The vocoder that a voice names, for the voice's features; see ``vocoder`` of :class:`TtsTask.Config`."""
    if name == GRIFFIN_LIM:
        return GriffinLim.Config().build(given=VocoderInput.of(model.featurizer)).to(device).eval()
    remedy = "train one, or set vocoder=griffin_lim"
    return load_vocoder(find_file(Path(name), model_dir, "a vocoder's model directory", remedy), model.featurizer, device)


def stretch(spoken: Spoken, speed: float) -> Spoken:
    """What a model that has no control of speed says, so many times as fast, by linear interpolation between its frames.

    A frame keeps the pitch that its spectrum has, so that the pitch of the voice stays. Vowels and consonants shrink alike,
    which nobody's do who speaks fast: far from 1 it sounds mechanical.

    Args:
        spoken: One utterance, with features.
        speed: Above 0.
    """
    before = int(spoken.feat_lens[0])
    after = max(1, round(before / speed))
    if after == before:
        return spoken
    feats = F.interpolate(spoken.feats[:, :before].transpose(1, 2), size=after, mode="linear").transpose(1, 2)
    ends = (spoken.durations.cumsum(1) * (after / before)).round().to(torch.int64)
    nearest = ((torch.arange(after, device=feats.device) + 0.5) * (before / after)).long().clamp(max=before - 1)
    return replace(
        spoken,
        feats=feats,
        feat_lens=torch.full_like(spoken.feat_lens, after),
        durations=ends.diff(dim=1, prepend=ends.new_zeros(1, 1)),
        alignment=None if spoken.alignment is None else spoken.alignment[:, nearest],
        pitch=None if spoken.pitch is None else spoken.pitch[:, nearest],
    )


def _in_manner(passage: Passage, manner: Manner) -> Manner:
    return replace(manner, speed=manner.speed * passage.rate, pitch_shift=manner.pitch_shift + passage.pitch)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
