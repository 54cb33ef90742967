"""yesno: one man says eight Hebrew words per file, each yes or no. Six minutes; the smallest recogniser there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from lhotse import CutSet, SupervisionSet
from lhotse.recipes.yesno import prepare_yesno
from lhotse.utils import fastcopy

from speechkit.data.corpora.base import Corpus, audio_errors, cuts_of_manifests, first_missing, sorted_cuts
from speechkit.data.corpora.download import Archive, download_and_extract

ARCHIVE = Archive(
    "https://www.openslr.org/resources/1/waves_yesno.tar.gz",
    "sha256:c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
)
_NAME = re.compile(r"[01](_[01]){7}\.wav")


class YesNo(Corpus, name="yesno"):
    """OpenSLR 1 (``waves_yesno``): 60 recordings, 8 kHz, words YES and NO as Lhotse's recipe writes them.

    The splits are ``train`` and ``test`` with 30 recordings (240 words) each. There is no dev split: 60 recordings of
    one man have nothing to spare, so a recipe watches its training set or trains for a fixed number of steps.
    """

    class Config(Corpus.Config):
        """Options of yesno."""

        split: Literal["halves", "alternating"] = "halves"
        """``halves``: the first 30 names in sorted order train, the last 30 test. ``alternating``: Lhotse 1.33's own
        recipe, every second name tests."""

    def missing(self, corpus_dir: Path) -> str | None:
        folder = Path(corpus_dir) / "waves_yesno"
        if problem := first_missing([folder]):
            return problem
        names = sorted(path.name for path in folder.glob("*.wav"))
        if odd := [name for name in names if not _NAME.fullmatch(name)]:
            return f"{folder / odd[0]}: expected a name like 0_1_1_0_1_0_0_1.wav; remove the file"
        return None if len(names) == 60 else f"{folder}: expected 60 wav files, got {len(names)}"

    def download(self, target_dir: Path) -> Path:
        download_and_extract(ARCHIVE, target_dir)
        return Path(target_dir)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        with audio_errors():
            parts = prepare_yesno(self.require(corpus_dir) / "waves_yesno")
        for part in parts.values():
            part["supervisions"] = SupervisionSet(fastcopy(s, speaker="yesno") for s in part["supervisions"])
        train, test = (cuts_of_manifests(parts[name]) for name in ("train", "test"))
        if self.config.split == "halves":
            cuts = sorted([*train, *test], key=lambda cut: cut.id)
            train, test = cuts[:30], cuts[30:]
        return {"train": sorted_cuts(train), "test": sorted_cuts(test)}
