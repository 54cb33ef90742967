"""VCTK: 110 speakers of English with many accents, about 400 sentences each, 48 kHz flac, two microphones. CC BY 4.0."""

from __future__ import annotations

import collections
import re
from pathlib import Path
from typing import Annotated, Literal

from lhotse import CutSet
from pydantic import Field

from speechkit.data.corpora.base import first_missing, sorted_cuts
from speechkit.data.corpora.download import Archive, download_and_extract
from speechkit.data.corpora.voice import VoiceCorpus, read_transcript

# The archive has no folder at its top. We know of no checksum that Edinburgh publishes; zip has a CRC for every file.
ARCHIVE = Archive("https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip")

_NAME = re.compile(r"(?P<utterance>(?P<speaker>[ps]\d+)_\d+)_mic(?P<microphone>[12])")
_MICROPHONES = {"mic1": ("1",), "mic2": ("2",), "both": ("1", "2")}
_Clip = tuple[Path, str, str, dict]


class Vctk(VoiceCorpus, name="vctk"):
    """VCTK 0.92 (``wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic<n>.flac``, ``txt/``, ``speaker-info.txt``).

    The first sentences of all speakers are the same (the rainbow passage and an elicitation paragraph), and some of the
    others are shared. Splits (there is no official one):

    * ``utterances``: of every speaker, the last ``num_test`` sentences that nobody else reads are test, the ``num_dev``
      before them dev. All voices are known, no sentence is.
    * ``speakers``: all clips of ``test_speakers`` and ``dev_speakers``; the others train. Sentences are shared.

    Both microphones' recordings of a sentence are in one split. Known gaps of the release: p315 has no transcripts and
    is left out; p280 and a few other clips have no second microphone.
    """

    class Config(VoiceCorpus.Config):
        """Microphones and splits."""

        microphone: Literal["mic1", "mic2", "both"] = "mic1"
        """mic1: omnidirectional DPA 4035. mic2: Sennheiser MKH 800. both: each sentence twice, with ids of its own."""

        split: Literal["utterances", "speakers"] = "utterances"
        """What is held out."""

        num_dev: Annotated[int, Field(ge=0)] = 2
        """Sentences of each speaker in dev, for ``utterances``."""

        num_test: Annotated[int, Field(ge=0)] = 2
        """Sentences of each speaker in test, for ``utterances``."""

        dev_speakers: tuple[str, ...] = ("p226", "p229")
        """Speakers of dev, for ``speakers``."""

        test_speakers: tuple[str, ...] = ("p225", "p227")
        """Speakers of test, for ``speakers``."""

    def missing(self, corpus_dir: Path) -> str | None:
        folder = _folder(corpus_dir)
        return first_missing([folder / "wav48_silence_trimmed", folder / "txt", folder / "speaker-info.txt"])

    def download(self, target_dir: Path) -> Path:
        download_and_extract(ARCHIVE, target_dir)
        return Path(target_dir)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        folder = _folder(self.require(corpus_dir))
        clips = self._clips(folder)
        split_of = self._split(clips)
        parts: dict[str, list] = {"train": [], "dev": [], "test": []}
        for cut in self._make_cuts(clips):
            parts[split_of[_NAME.fullmatch(cut.id)["utterance"]]].append(cut)
        return {name: sorted_cuts(cuts) for name, cuts in parts.items() if cuts}

    def _clips(self, folder: Path) -> dict[str, _Clip]:
        genders = _genders(folder / "speaker-info.txt")
        clips: dict[str, _Clip] = {}
        for path in sorted((folder / "wav48_silence_trimmed").glob("*/*.flac")):
            match = _NAME.fullmatch(path.stem)
            if match is None:
                raise ValueError(f"{path}: expected a name like p225_001_mic1.flac; remove the file")
            speaker = match["speaker"]
            if match["microphone"] not in _MICROPHONES[self.config.microphone] or not (folder / "txt" / speaker).is_dir():
                continue
            text = read_transcript(folder / "txt" / speaker / f"{match['utterance']}.txt")
            fields = {
                "language": "en",
                "gender": genders.get(speaker),
                "custom": {"microphone": f"mic{match['microphone']}"},
            }
            clips[path.stem] = (path, text, speaker, fields)
        if not clips:
            raise ValueError(f"{folder}: expected clips of {self.config.microphone}, got none; extract the archive again")
        return clips

    def _split(self, clips: dict[str, _Clip]) -> dict[str, str]:
        """The split of each sentence of each speaker, by ``p225_001``."""
        utterances = {_NAME.fullmatch(name)["utterance"]: clip for name, clip in clips.items()}
        speakers = {speaker for _, _, speaker, _ in utterances.values()}
        if self.config.split == "speakers":
            if unknown := sorted({*self.config.dev_speakers, *self.config.test_speakers} - speakers):
                raise ValueError(f"dev_speakers, test_speakers: no clips of {', '.join(unknown)}; take others")
            held_out = dict.fromkeys(self.config.dev_speakers, "dev") | dict.fromkeys(self.config.test_speakers, "test")
            return {name: held_out.get(speaker, "train") for name, (_, _, speaker, _) in utterances.items()}
        return self._split_by_sentence(utterances)

    def _split_by_sentence(self, utterances: dict[str, _Clip]) -> dict[str, str]:
        readers = collections.Counter(_words(text) for _, text, _, _ in utterances.values())
        own: dict[str, list[str]] = {}
        for name, (_, text, speaker, _) in sorted(utterances.items()):
            if readers[_words(text)] == 1:
                own.setdefault(speaker, []).append(name)
        split_of = dict.fromkeys(utterances, "train")
        for names in own.values():
            last = names[::-1][: self.config.num_test + self.config.num_dev]
            split_of |= dict.fromkeys(last[self.config.num_test :], "dev")
            split_of |= dict.fromkeys(last[: self.config.num_test], "test")
        return split_of


def _folder(corpus_dir: Path) -> Path:
    """``VCTK-Corpus-0.92`` in ``corpus_dir``, where someone made it, or else ``corpus_dir``, as the archive has it."""
    inner = Path(corpus_dir) / "VCTK-Corpus-0.92"
    return inner if inner.is_dir() else Path(corpus_dir)


def _genders(path: Path) -> dict[str, str]:
    """Gender by speaker: the third column, behind the name and the age."""
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:])
    return {row[0]: row[2] for row in rows if len(row) > 2 and row[2] in ("F", "M")}


def _words(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower()))
