"""A trained voice in use: ``speechkit.load("exp/fastspeech2").synthesize("Hello there.").save("hello.wav")``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.data.audio import read_audio
from speechkit.data.speakers import SpeakerTable
from speechkit.data.trim import trim
from speechkit.models.acoustic.base import AcousticModel, Controls, Spoken
from speechkit.models.acoustic.condition import TOLD, Condition
from speechkit.models.tts import TtsModel
from speechkit.models.vocoder.base import Vocoder, VocoderInput
from speechkit.models.vocoder.griffin_lim import GriffinLim
from speechkit.nn.weight_norm import remove_weight_norm
from speechkit.tasks.manner import Heard, Manner
from speechkit.tasks.tts import GRIFFIN_LIM, TtsTask
from speechkit.tasks.utterance import Utterance, join, silence
from speechkit.tasks.vocoder import load_vocoder
from speechkit.tasks.voice import WEIGHTS, load_voice
from speechkit.text.passages import Passage, split_passages
from speechkit.text.scripts import has_ideograph
from speechkit.text.spoken import SpokenTokenizer
from speechkit.text.ssml import is_ssml
from speechkit.text.tokenizer import UNK, Tokenizer
from speechkit.train.checkpoint import read_metadata
from speechkit.train.trainer import pick_device
from speechkit.utils import log
from speechkit.utils.files import find_file

# Longer sentences are said in parts, for voices that have only heard short ones lose their way in them.
CHARACTERS_PER_SECOND, IDEOGRAPHS_PER_SECOND = 14.0, 4.5
MIN_SECONDS = 6.0  # but shorter parts would tear sentences apart


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
            manner: Fields of :class:`~speechkit.tasks.manner.Manner`: ``speaker="p225", speed=1.2, reference="a.wav"``.

        Raises:
            ValueError: There is nothing to say in the text, a symbol in it is none of the voice's, no speaker has the name,
                the reference cannot be read, or the model cannot do what is asked of it.
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
        if wanted.reference is not None:  # read once, and before the first sound
            wanted = replace(wanted, reference=self.listen(wanted.reference))
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
            raise ValueError(
                f"model {self.config.model.name}: expected a model beside which there is a vocoder, got one without"
            )
        feats, lens = self._features(samples)
        said, _ = self.vocoder.generate(feats, lens, self.generator(seed))
        self._check_finite(said, "samples", "a recording")
        return said[0].float().cpu().numpy()

    @torch.inference_mode()
    def listen(self, recording: str | Path | Heard) -> Heard:
        """Hear a recording that is to be sounded like, as training hears its recordings; for several texts once is enough.

        Raises:
            ValueError: It cannot be read; the message names it.
        """
        if isinstance(recording, Heard):
            return recording
        samples = read_audio(recording, self.sampling_rate)
        if self.config.trim is not None:
            samples = trim(samples, self.sampling_rate, self.config.trim)
        return Heard(str(recording), *self._features(samples))

    def _features(self, samples: np.ndarray) -> tuple[Tensor, Tensor]:
        """(1, T, F) and (1,) of samples (L,)."""
        wav = torch.from_numpy(np.ascontiguousarray(samples)).to(self.device).unsqueeze(0)
        return self.model.features(wav, torch.tensor([len(samples)], device=self.device))

    def _controls(self, manner: Manner, generator: torch.Generator | None) -> Controls:
        obeyed = {name: value for name, value in manner.asks.items() if name in self.model.acoustic.controls}
        if manner.reference is not None:
            heard = self.listen(manner.reference)
            obeyed |= {"reference": heard.feats, "reference_lens": heard.lens}
        if manner.style is not None:
            obeyed["style"] = torch.tensor([manner.style], device=self.device)
        speaker = 0 if manner.speaker is None else self.speakers.index(manner.speaker)
        return Controls(torch.tensor([speaker], device=self.device), generator=generator, **obeyed)

    @torch.inference_mode()
    def _check(self, manner: Manner) -> None:
        """Refuse what the model cannot do."""
        if manner.speaker is not None:
            self.speakers.index(manner.speaker)
        by_frames = set() if "segments" in self.model.acoustic.gives else {"speed"}
        for name in sorted(manner.asks.keys() - self.model.acoustic.controls - by_frames):
            raise ValueError(self._refusal(name, manner.asks[name]))
        if manner.style is not None:  # conditions refuse another number of weights than they have styles
            one = torch.ones(1, dtype=torch.int64, device=self.device)
            self.model.acoustic.condition(self._controls(replace(manner, reference=None), None), one)

    def _refusal(self, name: str, got: Any) -> str:
        model = self.config.model.name
        if name in TOLD:
            able = ", ".join(sorted(each for each, condition in Condition.registry.items() if name in condition.controls))
            return (
                f"{name}: expected none, for no condition of model {model} obeys it, got {got}; voices that do are trained "
                f"with model.conditions of {able}"
            )
        able = ", ".join(sorted(each for each, kind in AcousticModel.registry.items() if name in kind.controls))
        return (
            f"{name}: expected the usual one, for model {model} cannot change it, got {got:g}; voices that can are of "
            f"{able or 'no model'}"
        )

    def _check_finite(self, values: Tensor, what: str, text: str) -> None:
        if not values.isfinite().all():
            raise ValueError(
                f"{_short(text)}: {what}: expected finite values, got NaN or infinity; average the weights of earlier "
                "steps, or train again with a smaller learning rate"
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
