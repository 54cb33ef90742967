"""Common Voice: sentences read by volunteers in over a hundred languages, mp3."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

from lhotse import CutSet
from pydantic import Field

from speechkit.data.corpora.base import CORPORA_ENV, Corpus, make_cut, read_recordings, sorted_cuts

_COLUMNS = ("client_id", "path", "sentence")


class CommonVoice(Corpus, name="common_voice"):
    """Mozilla Common Voice, one language of any release: ``<folder>/<language>/clips`` and ``<split>.tsv`` beside it.

    The release's own folder may stand between (``<folder>/cv-corpus-*/<language>``). The speaker is the client id.
    We read the tables ourselves: Lhotse's recipe wants columns that came and went with releases (accents, variant), and
    leaves out clips that are missing; here a missing clip is an error.
    """

    class Config(Corpus.Config):
        """Which language and tables."""

        language: str = "en"
        """Code of the language, as its folder is called: en, de, zh-CN ..."""

        splits: tuple[str, ...] = ()
        """Tables to read, without ``.tsv``; each becomes a split. Empty: train, dev and test as far as they are there,
        or ``validated``, as a split of this name, where none of them is."""

        num_jobs: Annotated[int, Field(gt=0)] = 4
        """Audio files whose headers are read at a time."""

    def missing(self, corpus_dir: Path) -> str | None:
        folder = self._folder(corpus_dir)
        if not (folder / "clips").is_dir():
            return f"{folder / 'clips'}: not found"
        tables = [folder / f"{split}.tsv" for split in self._splits(folder)]
        if lost := [table for table in tables if not table.exists()]:
            there = ", ".join(sorted(path.name for path in folder.glob("*.tsv"))) or "none"
            return f"{lost[0]}: not found; tables there: {there}"
        return None if tables else f"{folder / 'train.tsv'}: not found, nor dev, test or validated"

    def download(self, target_dir: Path) -> Path:
        """Say how to get it: its owner gives it only to people who have accepted the terms in a browser."""
        raise ValueError(
            f"{self.missing(target_dir)}; Common Voice has no address to download from without an account: get "
            f"{self.config.language!r} from https://commonvoice.mozilla.org/datasets, then extract it into "
            f"{target_dir}, or into <folder>/{self.config.name} and set {CORPORA_ENV}=<folder>"
        )

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        folder = self._folder(self.require(corpus_dir))
        return {split: self._read_table(folder / f"{split}.tsv") for split in self._splits(folder)}

    def _folder(self, corpus_dir: Path) -> Path:
        releases = sorted(Path(corpus_dir).glob(f"cv-corpus-*/{self.config.language}"))
        if len(releases) > 1:
            raise ValueError(
                f"{corpus_dir}: expected one release with {self.config.language!r}, got "
                f"{', '.join(path.parent.name for path in releases)}; move the others elsewhere"
            )
        return releases[0] if releases else Path(corpus_dir) / self.config.language

    def _splits(self, folder: Path) -> tuple[str, ...]:
        if self.config.splits:
            return self.config.splits
        there = [split for split in ("train", "dev", "test", "validated") if (folder / f"{split}.tsv").exists()]
        return tuple(there[:-1] if there[-1:] == ["validated"] and len(there) > 1 else there)

    def _read_table(self, table: Path) -> CutSet:
        rows = _read_rows(table)
        clips = table.parent / "clips"
        recordings = read_recordings({name: clips / row["path"] for name, row in rows.items()}, self.config.num_jobs)
        return sorted_cuts(
            make_cut(recording, row["sentence"].strip(), row["client_id"], language=self.config.language)
            for recording, row in zip(recordings, rows.values(), strict=True)
        )


def _read_rows(table: Path) -> dict[str, dict[str, str]]:
    """The rows of a table by the name of their clip, without ``.mp3``."""
    rows = {}
    with open(table, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)  # sentences hold unbalanced quotes
        for row in reader:
            if any(row.get(column) is None for column in _COLUMNS):
                raise ValueError(
                    f"{table}:{reader.line_num}: expected columns {', '.join(_COLUMNS)}, got {row}; restore the file"
                )
            name = Path(row["path"]).stem
            if name in rows:
                raise ValueError(f"{table}:{reader.line_num}: {row['path']} is there twice; remove one of the lines")
            rows[name] = row
    return rows
