"""mini: the built-in corpus. espeak-ng speaks connected digits and short commands in hundreds of voices, in seconds."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
from lhotse import AudioSource, CutSet, Recording
from lhotse.cut import Cut
from pydantic import Field, model_validator
from typing_extensions import Self

from speechkit.data.corpora.base import Corpus, first_missing, make_cut, sorted_cuts
from speechkit.data.corpora.espeak import SAMPLING_RATE as ESPEAK_RATE
from speechkit.data.corpora.espeak import Sentence, speak
from speechkit.data.corpora.noise import KINDS, add_noise, make_noise
from speechkit.utils import log
from speechkit.utils.files import atomic_write

SAMPLING_RATE = 16000
FORMAT = 1  # of the files; a change in what the same config generates needs the next number

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COMMANDS = (
    "turn on the {thing}",
    "turn off the {thing}",
    "set a timer for {number} {unit}",
    "wake me up at {number} in the {time}",
    "play the {order} song",
    "play some {music}",
    "call {person}",
    "call {person} at {place}",
    "what is the weather {day}",
    "open the {opening}",
    "close the {opening}",
    "volume {direction}",
    "stop the music",
)
SLOTS = {
    "thing": ("light", "kitchen light", "bedroom light", "garden light", "radio", "heater", "kitchen radio", "fan"),
    "number": (*DIGITS[1:], "ten", "twenty", "thirty"),
    "unit": ("seconds", "minutes", "hours"),
    "time": ("morning", "evening"),
    "order": ("next", "last", "first"),
    "music": ("music", "jazz"),
    "person": ("mary", "john", "peter", "susan"),
    "place": ("home", "work"),
    "day": ("today", "tomorrow", "on monday", "on friday"),
    "opening": ("door", "window", "garage door", "kitchen window"),
    "direction": ("up", "down"),
}

ACCENTS = ("en-us", "en", "en-gb-scotland", "en-029", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc")
# espeak-ng's variants ("speakers"), without whispers, robots and what clips or cannot be understood. Variants that
# sound alike (rob and robert, linda and belinda) stay on one side, so a test voice is new to the recogniser.
VARIANTS = {
    "train": (
        "Alex Alicia Andrea Andy Denis Diogo Henrique Hugo Marco Michael Mike Reed Storm Tweaky anika antonio aunty "
        "benjamin boris ed edward edward2 f1 f2 f3 f4 f5 grandma grandpa gustave ian iven2 iven3 iven4 john klatt3 "
        "klatt4 klatt5 klatt6 m1 m2 m3 m4 m5 m6 m8 max michel miguel mike2 paul pedro travis victor"
    ).split(),
    "dev": "Annie marcelo norbert rob robert shelby".split(),
    "test": "Gene Gene2 Mario Nguyen belinda david linda m7 pablo quincy steph".split(),
}
SPLITS = tuple(VARIANTS)

Count = Annotated[int, Field(gt=0)]


class Mini(Corpus, name="mini"):
    """Synthetic English at 16 kHz: strings of three to seven digits, and commands for a house, in background noise.

    A voice is an accent of English and a variant of espeak-ng, with a pitch and a rate of its own. No variant speaks
    in two splits, unless the config names the one that is to speak; sentences may repeat across splits, because the grammar
    is small. Every byte follows from the config
    and the version of espeakng-loader, and a split does not change when another one's size does.
    """

    class Config(Corpus.Config):
        """How much is said, and how noisily."""

        num_train: Count = 2000
        """Utterances in train; the default is about an hour."""

        num_dev: Count = 150
        """Utterances in dev."""

        num_test: Count = 300
        """Utterances in test."""

        min_snr: float = 10.0
        """dB; the lowest signal-to-noise ratio of an utterance."""

        max_snr: float = 30.0
        """dB; the highest."""

        voice: str | None = None
        """One voice of espeak-ng that says everything, such as en-us+f2, for synthesis to learn: at its own pitch and rate,
        always as loud, without noise. null: all the voices, as recognition wants them."""

        seed: Annotated[int, Field(ge=0)] = 0
        """Another seed gives other sentences, voices and noise."""

        @model_validator(mode="after")
        def _snr_in_order(self) -> Self:
            if self.min_snr > self.max_snr:
                raise ValueError(f"min_snr: expected at most max_snr = {self.max_snr}, got {self.min_snr}; swap them")
            return self

    def missing(self, corpus_dir: Path) -> str | None:
        return first_missing([self._folder(corpus_dir)])

    def download(self, target_dir: Path) -> Path:
        """Speak the corpus (nothing is fetched); another config's recordings in ``target_dir`` are left alone."""
        folder = self._folder(target_dir)
        if not folder.exists():
            total = sum(getattr(self.config, f"num_{split}") for split in SPLITS)
            log.info(f"mini: espeak-ng speaks {total} utterances")
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
                for split in SPLITS:
                    self._speak_split(split, Path(scratch, "mini", split))
                if not folder.exists():  # another process may have been faster, with the same result
                    Path(scratch, "mini").replace(folder)
        return Path(target_dir)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        folder = self._folder(self.require(corpus_dir))
        return {split: sorted_cuts(_read_split(folder / split)) for split in SPLITS}

    def _folder(self, corpus_dir: Path) -> Path:
        """Where this config's recordings are; the folder appears when it is complete, so its name says all."""
        options = self.config.model_dump(exclude=None if self.config.voice else {"voice"})
        facts = {**options, "format": FORMAT, "espeakng-loader": version("espeakng-loader")}
        return Path(corpus_dir) / hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    def _speak_split(self, split: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        rng = np.random.default_rng([self.config.seed, SPLITS.index(split)])
        sentences = [self._draw_sentence(split, rng) for _ in range(getattr(self.config, f"num_{split}"))]
        noises = [make_noise(kind, 5 * SAMPLING_RATE, SAMPLING_RATE, rng) for kind in KINDS for _ in range(4)]
        rows = []
        for number, (sentence, samples) in enumerate(zip(sentences, speak(sentences), strict=True)):
            wav = self._record(samples, noises, rng)
            path = folder / f"{split}-{number:05d}.wav"
            soundfile.write(path, wav, SAMPLING_RATE, subtype="PCM_16")
            rows.append({"id": path.stem, "num_samples": len(wav), "speaker": sentence.voice, "text": sentence.text})
        with atomic_write(folder / "utterances.jsonl") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def _draw_sentence(self, split: str, rng: np.random.Generator) -> Sentence:
        if self.config.voice is not None:
            return Sentence(_draw_text(rng), self.config.voice)
        voice = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS[split])}"
        own = np.random.default_rng([self.config.seed, zlib.crc32(voice.encode())])  # what belongs to the voice
        pitch, rate, pitch_range = own.normal(50, 8), own.uniform(140, 200), own.uniform(30, 70)
        text = _draw_text(rng)
        return Sentence(
            text,
            voice,
            rate=round(rate + rng.uniform(-15, 15)),
            pitch=int(np.clip(pitch + rng.normal(0, 3), 25, 75)),
            pitch_range=round(pitch_range),
        )

    def _record(self, samples: bytes, noises: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """(L,) float32 at 16 kHz: the speech with silence around it, at some level, in some noise."""
        speech = np.frombuffer(samples, np.int16).astype(np.float32) / 32768
        speech = soxr.resample(speech, ESPEAK_RATE, SAMPLING_RATE)
        if self.config.voice is not None:
            return speech
        before, after = (int(seconds * SAMPLING_RATE) for seconds in rng.uniform(0.05, 0.3, 2))
        speech = np.pad(speech, (before, after))
        noise = noises[rng.integers(len(noises))]
        noise = np.resize(np.roll(noise, rng.integers(len(noise))), len(speech))
        wav = add_noise(speech, noise, rng.uniform(self.config.min_snr, self.config.max_snr))
        return wav * np.float32(rng.uniform(0.1, 0.9) / np.abs(wav).max())


def _draw_text(rng: np.random.Generator) -> str:
    """Digits or a command."""
    return draw_digits(rng) if rng.random() < 0.5 else draw_command(rng)


def draw_digits(rng: np.random.Generator) -> str:
    """Three to seven digits."""
    return " ".join(rng.choice(DIGITS, rng.integers(3, 8)))


def draw_command(rng: np.random.Generator) -> str:
    """A sentence of the grammar :data:`COMMANDS`, :data:`SLOTS`."""
    return rng.choice(COMMANDS).format(**{slot: rng.choice(words) for slot, words in SLOTS.items()})


def _read_split(folder: Path) -> Iterator[Cut]:
    for line in (folder / "utterances.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        source = AudioSource("file", [0], str(folder / f"{row['id']}.wav"))
        duration = row["num_samples"] / SAMPLING_RATE
        recording = Recording(row["id"], [source], SAMPLING_RATE, row["num_samples"], duration)
        yield make_cut(recording, row["text"], row["speaker"], language="en")
