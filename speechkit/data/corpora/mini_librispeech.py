"""Mini LibriSpeech: the five-hour excerpt of LibriSpeech that Kaldi's shortest real recipe uses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from lhotse import CutSet
from pydantic import Field

from speechkit.data.corpora.base import Corpus, sorted_cuts
from speechkit.data.corpora.librispeech import download_parts, missing_parts, read_parts

# Speakers of train-clean-5; four more, which not every copy has, are left out.
HELD_OUT = {
    "train": "19 32 118 163 226 332 460 1088 1737 1970 2416 3526 4640 6272 7367 7859 8629".split(),
    "dev": "669 5789 7312".split(),
    "test": "1898 2136 3242 3947".split(),
}


class MiniLibriSpeech(Corpus, name="mini_librispeech"):
    """OpenSLR 31, 16 kHz; transcripts in capitals, as published.

    * ``official``: train is train-clean-5. Only one other part is published, dev-clean-2: it is both ``dev`` and
      ``test``, so a model chosen on dev has a slightly flattering test result.
    * ``held_out_speakers``: 24 speakers of train-clean-5 alone, disjoint: 17 train, 3 dev, 4 test. Results of this
      split cannot be set beside those of the official one.
    """

    class Config(Corpus.Config):
        """Which split."""

        split: Literal["official", "held_out_speakers"] = "official"
        """The published parts, or speakers of train-clean-5."""

        num_jobs: Annotated[int, Field(gt=0)] = 4
        """Audio files whose headers are read at a time."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The archives that the split needs."""
        return ("train-clean-5", "dev-clean-2") if self.config.split == "official" else ("train-clean-5",)

    def missing(self, corpus_dir: Path) -> str | None:
        speakers = [] if self.config.split == "official" else [name for names in HELD_OUT.values() for name in names]
        parts = [*self.parts, *(f"train-clean-5/{speaker}" for speaker in speakers)]
        return missing_parts(corpus_dir, parts)

    def download(self, target_dir: Path) -> Path:
        return download_parts(target_dir, self.parts, openslr=31)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        cuts = read_parts(self.require(corpus_dir), self.parts, self.config.num_jobs)
        train = cuts["train-clean-5"]
        if self.config.split == "official":
            evaluation = sorted_cuts(cuts["dev-clean-2"])
            return {"train": sorted_cuts(train), "dev": evaluation, "test": evaluation}
        return {
            split: sorted_cuts(cut for cut in train if cut.supervisions[0].speaker in speakers)
            for split, speakers in HELD_OUT.items()
        }
