"""FSDD, the Free Spoken Digit Dataset: six speakers, ten English digits, fifty takes of each; and strings of them."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import soundfile
from lhotse import CutSet, Recording
from lhotse.cut import Cut, MixedCut, MixTrack
from lhotse.utils import fastcopy
from pydantic import Field, model_validator
from typing_extensions import Self

from speechkit.data.corpora.base import Corpus, make_cut, read_recording, read_recordings, sorted_cuts
from speechkit.data.corpora.download import Archive, download_and_extract
from speechkit.data.corpora.noise import KINDS, NoiseKind, make_noise
from speechkit.utils.files import atomic_path

# GitHub packs this archive on demand and publishes no checksum; the size of every file in it is checked by its CRC.
ARCHIVE = Archive("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz", strip=1)

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUM_TEST_TAKES = 5
SPLITS = ("train", "dev", "test")
_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<take>\d+)")
_NOISE_RATE, _NOISE_SECONDS, _NUM_NOISES = 8000, 10, 3

Count = Annotated[int, Field(ge=0)]


class Fsdd(Corpus, name="fsdd"):
    """3000 clips of one spoken digit, 8 kHz; the text is the digit's word.

    Splits, by the number at the end of a clip's name (its take, 0 to 49):

    * ``official``: takes 0 to 4 test (300 clips), the others train, of which takes 5 and 6 become dev (120 clips).
    * ``leave_one_out``: all 500 clips of ``held_out`` test; the others train, but for their takes 5 and 6 (dev).

    With ``connected``, each split becomes strings of three to seven digits by one speaker with pauses and background
    noise. They are mixed by Lhotse when they are loaded; nothing but a little noise is written. A string holds clips of
    its own split only.
    """

    class Config(Corpus.Config):
        """Which split; single digits or strings of digits."""

        split: Literal["official", "leave_one_out"] = "official"
        """By take, or by speaker."""

        held_out: Literal["george", "jackson", "lucas", "nicolas", "theo", "yweweler"] = "theo"
        """Test speaker of ``leave_one_out``."""

        num_dev_takes: Annotated[int, Field(ge=0, le=40)] = 2
        """Takes of each digit and speaker that go from train to dev; with 0 there is no dev split."""

        connected: bool = False
        """Strings of digits instead of single digits."""

        num_train_strings: Count = 1500
        """Strings in train."""

        num_dev_strings: Count = 150
        """Strings in dev."""

        num_test_strings: Count = 300
        """Strings in test."""

        max_pause: Annotated[float, Field(ge=0)] = 0.4
        """Seconds; a pause before, between and after digits lasts 0 to this."""

        min_snr: float = 10.0
        """dB; the lowest ratio of the first digit to the noise of a string."""

        max_snr: float = 30.0
        """dB; the highest."""

        noise_dir: str | None = None
        """Folder for the noise recordings that strings are mixed with, written once, four megabytes; null means
        ``$XDG_CACHE_HOME/speechkit/noise`` (``~/.cache/...``), because the corpus folder may be read-only."""

        seed: Count = 0
        """Of the strings."""

        @model_validator(mode="after")
        def _snr_in_order(self) -> Self:
            if self.min_snr > self.max_snr:
                raise ValueError(f"min_snr: expected at most max_snr = {self.max_snr}, got {self.min_snr}; swap them")
            return self

    def missing(self, corpus_dir: Path) -> str | None:
        folder = Path(corpus_dir) / "recordings"
        count = len(list(folder.glob("*.wav")))
        return None if count == 3000 else f"{folder}: expected the 3000 wav files of FSDD v1.0.10, got {count}"

    def download(self, target_dir: Path) -> Path:
        download_and_extract(ARCHIVE, target_dir)
        return Path(target_dir)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        folder = self.require(corpus_dir) / "recordings"
        clips: dict[str, list[Cut]] = {split: [] for split in SPLITS}
        for recording in read_recordings({path.stem: path for path in sorted(folder.glob("*.wav"))}):
            digit, speaker, take = _parse(recording.id)
            clips[self._split_of(speaker, take)].append(make_cut(recording, WORDS[digit], speaker, language="en"))
        splits = {name: cuts for name, cuts in clips.items() if cuts}
        if self.config.connected:
            splits = {name: self._strings(name, cuts) for name, cuts in splits.items()}
        return {name: sorted_cuts(cuts) for name, cuts in splits.items()}

    def _split_of(self, speaker: str, take: int) -> str:
        held_out = self.config.split == "leave_one_out"
        if speaker == self.config.held_out if held_out else take < NUM_TEST_TAKES:
            return "test"
        return "dev" if NUM_TEST_TAKES <= take < NUM_TEST_TAKES + self.config.num_dev_takes else "train"

    # --- strings of digits

    def _strings(self, split: str, clips: Iterable[Cut]) -> list[Cut]:
        clips_of: dict[str, list[Cut]] = {}
        for clip in clips:
            clips_of.setdefault(clip.supervisions[0].speaker, []).append(clip)
        rng = np.random.default_rng([self.config.seed, SPLITS.index(split)])
        noises = self._noises(split)
        count = getattr(self.config, f"num_{split}_strings")
        return [self._string(f"{split}-{number:05d}", clips_of, noises, rng) for number in range(count)]

    def _string(
        self, string_id: str, clips_of: dict[str, list[Cut]], noises: list[Recording], rng: np.random.Generator
    ) -> MixedCut:
        """One speaker's digits with pauses, under noise, as one cut with one supervision."""
        speakers = sorted(clips_of)
        clips = clips_of[speakers[rng.integers(len(speakers))]]
        picked = [clips[i] for i in rng.choice(len(clips), rng.integers(3, 8), replace=False)]
        *before, last = rng.uniform(0, self.config.max_pause, len(picked) + 1).round(3).tolist()
        starts = list(itertools.accumulate((clip.duration for clip in picked), initial=0.0))
        offsets = [round(start + pause, 6) for start, pause in zip(starts, itertools.accumulate(before), strict=False)]
        end = offsets[-1] + picked[-1].duration
        noise = _noise_tracks(
            noises[rng.integers(len(noises))].to_cut(),
            duration=round(end + last, 3),
            shift=round(rng.uniform(0, _NOISE_SECONDS), 3),
            snr=round(rng.uniform(self.config.min_snr, self.config.max_snr), 2),
        )
        text = " ".join(clip.supervisions[0].text for clip in picked)
        whole = fastcopy(picked[0].supervisions[0], id=string_id, duration=round(end - offsets[0], 6), text=text)
        cuts = [fastcopy(clip, supervisions=[] if number else [whole]) for number, clip in enumerate(picked)]
        digits = [MixTrack(cut, offset=offset) for cut, offset in zip(cuts, offsets, strict=True)]
        return MixedCut(string_id, tracks=[*noise, *digits])  # the SNR is to the first track without one: a digit

    def _noises(self, split: str) -> list[Recording]:
        """The split's own noise recordings, written first if they are not there yet; the same everywhere."""
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        folder = Path(self.config.noise_dir or f"{cache}/speechkit/noise").expanduser().absolute()
        takes = [(kind, SPLITS.index(split), take) for kind in KINDS for take in range(_NUM_NOISES)]
        return [_noise(folder / f"{kind}-{split}-{take}.wav", kind, number, take) for kind, number, take in takes]


def _parse(name: str) -> tuple[int, str, int]:
    """Digit, speaker and take of ``7_theo_12``."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name}.wav: expected a name like 7_theo_12.wav (digit, speaker, take); remove the file")
    return int(match["digit"]), match["speaker"], int(match["take"])


def _noise(path: Path, kind: NoiseKind, split_number: int, take: int) -> Recording:
    if not path.exists():
        rng = np.random.default_rng([KINDS.index(kind), split_number, take])
        samples = make_noise(kind, _NOISE_SECONDS * _NOISE_RATE, _NOISE_RATE, rng)
        with atomic_path(path) as partial:
            soundfile.write(partial, 0.1 * samples, _NOISE_RATE, subtype="PCM_16")
    return read_recording(path, path.stem)


def _noise_tracks(noise: Cut, duration: float, shift: float, snr: float) -> list[MixTrack]:
    """Noise from 0 to ``duration`` s that begins ``shift`` s into the recording and starts it again when it ends."""
    tracks, offset = [], 0.0
    while duration - offset > 1e-6:
        piece = noise.truncate(offset=shift, duration=min(noise.duration - shift, duration - offset))
        tracks.append(MixTrack(piece.with_id(f"{noise.id}-{len(tracks)}"), offset=offset, snr=snr))
        offset, shift = round(offset + piece.duration, 6), 0.0
    return tracks
