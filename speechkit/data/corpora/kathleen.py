"""Kathleen: one woman from the US reads the CMU ARCTIC prompts, an hour and a half. CC0."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from lhotse import CutSet
from lhotse.cut import Cut
from pydantic import Field

from speechkit.data.corpora.base import sorted_cuts
from speechkit.data.corpora.download import Archive, download_and_extract
from speechkit.data.corpora.voice import VoiceCorpus, read_transcript, require_audio

# GitHub packs this archive on demand and publishes no checksum; gzip checks all of it by its CRC.
ARCHIVE = Archive("https://github.com/rhasspy/dataset-voice-kathleen/archive/refs/heads/master.tar.gz", strip=1)

_NAME = re.compile(r"arctic_([ab][0-9]{4})_[0-9]+")


class Kathleen(VoiceCorpus, name="kathleen"):
    """Rhasspy's dataset-voice-kathleen (``data/arctic_<prompt>_<time>.wav``, a .txt beside each): 1132 prompts, 1620 clips.

    Many prompts were read several times, so the splits are made of prompts: the last 20 in sorted order are test, the 20
    before dev, and all takes of a prompt are on its side. Prompts with the same words count as one. In dev and test,
    only the last take of each prompt is used: the speaker kept on until she was content.
    """

    class Config(VoiceCorpus.Config):
        """How much is held out, and which takes are used."""

        num_dev: Annotated[int, Field(ge=0)] = 20
        """Prompts in dev."""

        num_test: Annotated[int, Field(ge=0)] = 20
        """Prompts in test."""

        all_takes: bool = True
        """Whether train has all takes of its prompts, or the last one of each."""

    def missing(self, corpus_dir: Path) -> str | None:
        folder = Path(corpus_dir) / "data"
        return None if any(folder.glob("arctic_*.wav")) else f"{folder}: not found, or without arctic_*.wav"

    def download(self, target_dir: Path) -> Path:
        download_and_extract(ARCHIVE, target_dir)
        return Path(target_dir)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        folder = self.require(corpus_dir) / "data"
        names = sorted(path.stem for path in folder.glob("*.txt"))
        spoken = {path.stem: path for path in folder.glob("*.wav")}
        require_audio([name for name in names if name not in spoken], len(names), folder, ".wav")
        fields = {"language": "en", "gender": "F"}
        texts = {name: read_transcript(folder / f"{name}.txt") for name in sorted(spoken)}
        cuts = self._make_cuts({name: (spoken[name], text, "kathleen", fields) for name, text in texts.items()})
        return self._split(_takes_by_prompt(cuts))

    def _split(self, takes: list[list[Cut]]) -> dict[str, CutSet]:
        held_out = self.config.num_dev + self.config.num_test
        if len(takes) <= held_out:
            raise ValueError(f"expected more than {held_out} prompts, got {len(takes)}; lower num_dev and num_test")
        first_test = len(takes) - self.config.num_test
        first_dev = first_test - self.config.num_dev
        parts = {
            "train": [cut for prompt in takes[:first_dev] for cut in (prompt if self.config.all_takes else prompt[-1:])],
            "dev": [prompt[-1] for prompt in takes[first_dev:first_test]],
            "test": [prompt[-1] for prompt in takes[first_test:]],
        }
        return {name: sorted_cuts(cuts) for name, cuts in parts.items() if cuts}


def _takes_by_prompt(cuts: list[Cut]) -> list[list[Cut]]:
    """The takes of each prompt in the order in which they were read; prompts in the order of their names."""
    takes: dict[str, list[Cut]] = {}
    for cut in sorted(cuts, key=lambda cut: cut.id):
        if not _NAME.fullmatch(cut.id):
            raise ValueError(f"{cut.id}.wav: expected a name like arctic_a0001_1592748574.wav; remove the file")
        words = " ".join(re.findall(r"[\w']+", cut.supervisions[0].text.lower()))
        takes.setdefault(words, []).append(cut)
    return list(takes.values())
