"""Baker (BZNSYP, "Chinese Standard Mandarin Speech Corpus"): 12 hours of one woman, 10,000 sentences, 48 kHz wav."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from lhotse import CutSet
from pydantic import Field

from speechkit.data.corpora.base import CORPORA_ENV, first_missing
from speechkit.data.corpora.voice import VoiceCorpus, hold_out_last, require_audio

_LABELS = "ProsodyLabeling/000001-010000.txt"
_PROSODY = re.compile("#[1-4]")


class Baker(VoiceCorpus, name="baker"):
    """Data-Baker's free corpus (``BZNSYP/Wave/``, ``BZNSYP/ProsodyLabeling/``); not for commercial use.

    Of each sentence there are two lines: ``000001<tab>卡尔普#2陪外孙#1玩滑梯#4。`` and its pinyin. The text of a cut has no
    prosody marks; its supervision keeps ``pinyin``, as it was spoken (third tones changed, erhua as ``huar4``), and
    ``prosody``, the text with its marks, as custom fields. There is no official split: the last sentences are test, those
    before them dev.
    """

    class Config(VoiceCorpus.Config):
        """Which sentences."""

        num_dev: Annotated[int, Field(ge=0)] = 100
        """Sentences in dev."""

        num_test: Annotated[int, Field(ge=0)] = 100
        """Sentences in test."""

    def missing(self, corpus_dir: Path) -> str | None:
        folder = Path(corpus_dir) / "BZNSYP"
        return first_missing([folder / _LABELS, folder / "Wave"])

    def download(self, target_dir: Path) -> Path:
        """Say how to get it: its owner gives it to people who have left an address."""
        raise ValueError(
            f"{self.missing(target_dir)}; Data-Baker gives the corpus to people who ask for it at "
            f"https://en.data-baker.com/datasets/freeDatasets/: get BZNSYP.rar there, then extract it into {target_dir}, or "
            f"into <folder>/{self.config.name} and set {CORPORA_ENV}=<folder>"
        )

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        folder = self.require(corpus_dir) / "BZNSYP"
        labels = _read_labels(folder / _LABELS)
        paths = {name: folder / "Wave" / f"{name}.wav" for name in labels}
        require_audio([name for name, path in paths.items() if not path.exists()], len(labels), folder / "Wave", ".wav")
        clips = {name: (paths[name], *_describe(*label)) for name, label in labels.items()}
        return hold_out_last(self._make_cuts(clips), self.config.num_dev, self.config.num_test)


def _describe(prosody: str, pinyin: str) -> tuple[str, str, dict]:
    fields = {"language": "zh", "gender": "F", "custom": {"pinyin": pinyin, "prosody": prosody}}
    return _PROSODY.sub("", prosody), "baker", fields


def _read_labels(path: Path) -> dict[str, tuple[str, str]]:
    """Text with prosody marks, and pinyin, of each sentence."""
    lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    labels: dict[str, tuple[str, str]] = {}
    for number in range(0, len(lines), 2):
        first, pinyin = lines[number].split(maxsplit=1), lines[number + 1].strip() if number + 1 < len(lines) else ""
        if len(first) != 2 or not re.fullmatch("[0-9]{6}", first[0]) or not re.match("[a-z]", pinyin, re.IGNORECASE):
            raise ValueError(
                f"{path}:{number + 1}: expected a line like 000001<tab>text and a line of pinyin below it, got "
                f"{lines[number : number + 2]}; restore the file"
            )
        if first[0] in labels:
            raise ValueError(f"{path}:{number + 1}: {first[0]} is there twice; remove one of them")
        labels[first[0]] = (first[1].strip(), pinyin)
    return labels
