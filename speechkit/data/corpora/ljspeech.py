"""LJSpeech: 24 hours of one woman who reads seven books of non-fiction, 22.05 kHz wav. Public domain."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Literal

from lhotse import CutSet
from pydantic import Field

from speechkit.data.corpora.base import first_missing
from speechkit.data.corpora.download import Archive, download_and_extract
from speechkit.data.corpora.voice import VoiceCorpus, hold_out_last, require_audio

# Its owner publishes no checksum; the bzip2 stream has a CRC for every block.
ARCHIVE = Archive("https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2")

_COLUMNS = {"original": 1, "normalized": 2}


class LjSpeech(VoiceCorpus, name="ljspeech"):
    """LJSpeech 1.1 (``LJSpeech-1.1/metadata.csv``, ``wavs/``): 13,100 clips of 1 to 10 seconds.

    It has no official split. In the order of the ids, the last clips are test and those before them dev (20 each unless
    the config says otherwise), which works for a copy that ends early as well: but two copies of different length have
    different test sets, so say beside a result how many clips there were.
    """

    class Config(VoiceCorpus.Config):
        """Which column, which clips."""

        text: Literal["normalized", "original"] = "normalized"
        """Transcripts with numbers and abbreviations in words, or as printed."""

        num_dev: Annotated[int, Field(ge=0)] = 20
        """Clips in dev."""

        num_test: Annotated[int, Field(ge=0)] = 20
        """Clips in test."""

        num_train: Annotated[int, Field(gt=0)] | None = None
        """Clips in train, the first ones by id; null takes all."""

    def missing(self, corpus_dir: Path) -> str | None:
        folder = Path(corpus_dir) / "LJSpeech-1.1"
        return first_missing([folder / "metadata.csv", folder / "wavs"])

    def download(self, target_dir: Path) -> Path:
        download_and_extract(ARCHIVE, target_dir)
        return Path(target_dir)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        folder = self.require(corpus_dir) / "LJSpeech-1.1"
        texts = self._read_metadata(folder / "metadata.csv")
        paths = {name: folder / "wavs" / f"{name}.wav" for name in texts}
        require_audio([name for name, path in paths.items() if not path.exists()], len(texts), folder / "wavs", ".wav")
        fields = {"language": "en", "gender": "F"}
        cuts = self._make_cuts({name: (paths[name], text, "ljspeech", fields) for name, text in texts.items()})
        splits = hold_out_last(cuts, self.config.num_dev, self.config.num_test)
        if self.config.num_train is not None:
            splits["train"] = splits["train"].subset(first=min(self.config.num_train, len(splits["train"]))).to_eager()
        return splits

    def _read_metadata(self, path: Path) -> dict[str, str]:
        texts: dict[str, str] = {}
        with open(path, encoding="utf-8", newline="") as file:
            for row in (reader := csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE)):
                if len(row) != 3 or not all(field.strip() for field in row):
                    expected = "an id, a transcript and a normalized transcript with | between them"
                    raise ValueError(f"{path}:{reader.line_num}: expected {expected}, got {row}; restore the file")
                if row[0] in texts:
                    raise ValueError(f"{path}:{reader.line_num}: {row[0]} is there twice; remove one of the lines")
                texts[row[0]] = row[_COLUMNS[self.config.text]].strip()
        return texts
