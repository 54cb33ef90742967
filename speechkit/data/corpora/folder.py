"""Your own data: a folder of audio with transcripts in one of the usual layouts. What is refused is counted.

How transcripts are read is in :mod:`speechkit.data.corpora.transcripts`.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal

from lhotse import AudioSource, CutSet, Recording, SupervisionSegment
from lhotse.cut import Cut
from lhotse.utils import fastcopy
from pydantic import Field

from speechkit.data.audio import AUDIO_SUFFIXES, AudioError, AudioFacts, examine
from speechkit.data.corpora.base import Corpus, sorted_cuts
from speechkit.data.corpora.transcripts import Row, Table, audio_files, find_table, id_of, read_text_files
from speechkit.data.summary import Refused, Summary, summarize

SPLIT_NAMES = {"training": "train", "valid": "dev", "validation": "dev", "val": "dev", "eval": "test"}
SPLIT_NAMES |= {name: name for name in ("train", "dev", "test")}
MIN_HELD_OUT = 10  # utterances; an error rate on fewer says little
MIN_SPEAKERS = 20  # below this many, splits by speaker come out far from the fractions asked for

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Folder(Corpus, name="folder"):
    """A folder of recordings and transcripts; preparing it says what was found and what was refused.

    Several channels and any sampling rate are accepted: cuts are mixed down and converted when they are loaded.
    """

    class Config(Corpus.Config):
        """Where transcripts are, how the data is split, and what is refused."""

        transcripts: str | None = None
        """Table with the transcripts (.csv, .tsv, .jsonl), relative to the folder. When null: a metadata or transcripts
        file in the folder if there is one, else a .txt file beside each audio file, else the only table."""

        separator: str | None = None
        """Between the columns of a table. When null: tab in .tsv, in .csv ``|`` if the first line has one, or comma."""

        columns: dict[Literal["id", "audio", "text", "speaker", "split"], str] = {}
        """Names of columns that are not the usual ones (audio, text, speaker ...), as in ``{text: sentence}``."""

        speaker_folder: bool = False
        """Whether the folder that holds a file is named after its speaker, for transcripts that do not say."""

        split: Literal["auto", "column", "subfolders", "fractions"] = "auto"
        """A split column, subfolders train/dev/test, or fractions; auto takes the first of these that is there."""

        dev_fraction: Fraction = 0.05
        """Share of speakers or utterances that go to dev, with fractions."""

        test_fraction: Fraction = 0.05
        """Share that goes to test, with fractions."""

        split_by: Literal["auto", "speaker", "id"] = "auto"
        """What is drawn for fractions, by a hash that more data does not change: whole speakers, or utterances.
        auto takes speakers when there are at least 20."""

        min_duration: float = 0.1
        """Seconds; shorter recordings are refused."""

        max_duration: float = 40.0
        """Seconds; longer recordings are refused."""

        max_char_rate: float = 40.0
        """Characters per second; a longer transcript cannot belong to its audio and is refused."""

    report: Summary | None = None

    def missing(self, corpus_dir: Path) -> str | None:
        """The folder itself, or any audio in it."""
        folder = Path(corpus_dir)
        if not folder.is_dir():
            return f"{folder}: no such folder"
        return None if any(audio_files(folder)) else f"{folder}: no audio in it ({', '.join(sorted(AUDIO_SUFFIXES))})"

    def download(self, target_dir: Path) -> Path:
        """Your own data comes from nowhere else: a folder with audio is returned, anything else is an error."""
        return self.require(target_dir)

    def require(self, corpus_dir: Path) -> Path:
        """The absolute ``corpus_dir``, or a ValueError that says what it lacks."""
        if problem := self.missing(corpus_dir):
            raise ValueError(f"{problem}; put your recordings and transcripts there, or give another folder")
        return Path(corpus_dir).absolute()

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        """Make the splits that have utterances, and :attr:`report`.

        Every audio file is decoded once, on all cores, to find the bad ones now.

        Raises:
            ValueError: The folder or its table cannot be read, or nothing is left to train on.
        """
        folder = self.require(corpus_dir)
        refusals: list[Refused] = []
        resolver = _Resolver(folder)
        rows = _unique(self._rows(folder, refusals), resolver, refusals)
        cuts = self._cuts(resolver, rows, refusals)
        splits, notes = self._split(folder, cuts)
        self.report = summarize(splits, refusals, [*notes, *_format_notes(cut for cut, _ in cuts)])
        if not splits.get("train"):
            refused = ", ".join(f"{reason} {count}" for reason, count in self.report.reasons.items()) or "none"
            raise ValueError(
                f"{folder}: no utterance is left for train ({len(cuts)} in other splits; refused: {refused}); "
                "correct the data, or the corpus config"
            )
        return splits

    def _rows(self, folder: Path, refusals: list[Refused]) -> Iterator[Row]:
        table = find_table(folder, self.config.transcripts)
        if table is None:
            return read_text_files(folder, refusals)
        return Table(table, self.config.separator, self.config.columns).rows(refusals)

    # --- audio ---

    def _cuts(self, resolver: _Resolver, rows: list[Row], refusals: list[Refused]) -> list[tuple[Cut, Row]]:
        """The cuts of all rows that are good, in the order of the rows."""
        paths = [resolver(row.audio) for row in rows]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            judged = list(pool.map(self._judge, rows, paths))
        refusals += [item for item in judged if isinstance(item, Refused)]
        reported = {item.source for item in refusals}
        for path in (path for path in resolver.unused if str(path) not in reported):
            name = id_of(path.relative_to(resolver.folder))
            refusals.append(Refused(name, str(path), "missing transcript", "no transcript names this file"))
        return [(item, row) for item, row in zip(judged, rows) if not isinstance(item, Refused)]

    def _judge(self, row: Row, path: Path | None) -> Cut | Refused:
        """The cut of a row, or why there is none."""

        def refuse(reason: str, detail: str) -> Refused:
            return Refused(row.id, str(path or row.source), reason, detail)

        if not row.text:
            return refuse("empty transcript", f"{row.source} has no text for it")
        if path is None:
            return refuse("missing file", f"no audio file {row.audio!r} in the folder")
        try:
            facts = examine(path)
        except AudioError as error:
            return refuse(error.reason, str(error))
        duration = facts.num_samples / facts.sampling_rate
        low, high = self.config.min_duration, self.config.max_duration
        if not low <= duration <= high:
            return refuse(
                "too short" if duration < low else "too long", f"expected {low:g} to {high:g} s, got {duration:.2f} s"
            )
        if len(row.text) > self.config.max_char_rate * duration:
            rate = f"{len(row.text)} characters in {duration:.2f} s"
            return refuse("transcript too long", f"{rate}: expected at most {self.config.max_char_rate:g} per second")
        return self._make_cut(row, path, facts)

    def _make_cut(self, row: Row, path: Path, facts: AudioFacts) -> Cut:
        source = AudioSource("file", list(range(facts.num_channels)), str(path.absolute()))
        duration = facts.num_samples / facts.sampling_rate
        cut = Recording(row.id, [source], facts.sampling_rate, facts.num_samples, duration).to_cut()
        speaker = row.speaker or (path.parent.name if self.config.speaker_folder else "unknown")
        channel = cut.channel
        text = SupervisionSegment(row.id, row.id, 0.0, cut.duration, channel=channel, text=row.text, speaker=speaker)
        return fastcopy(cut, supervisions=[text])

    # --- splits ---

    def _split(self, folder: Path, cuts: list[tuple[Cut, Row]]) -> tuple[dict[str, CutSet], list[str]]:
        mode = self._mode(folder, cuts)
        split_of, note = self._splitter(mode, folder, cuts)
        members: dict[str, list[Cut]] = {"train": [], "dev": [], "test": []}
        for cut, row in cuts:
            members.setdefault(split_of(cut, row), []).append(cut)
        splits = {name: sorted_cuts(those) for name, those in members.items() if those}
        few = [name for name in ("dev", "test") if len(members[name]) < MIN_HELD_OUT]
        return splits, [note, *(self._few_note(name, mode, len(members[name]), len(cuts)) for name in few)]

    def _few_note(self, split: str, mode: str, number: int, total: int) -> str:
        remedy = "put more there, or set split=fractions"
        if mode == "fractions":
            remedy = f"raise {split}_fraction (now {getattr(self.config, f'{split}_fraction'):g})"
        return f"{split} has {number} of {total} utterances; for {MIN_HELD_OUT} or more, {remedy}"

    def _mode(self, folder: Path, cuts: list[tuple[Cut, Row]]) -> str:
        """The config's ``split``, with ``auto`` decided."""
        if self.config.split != "auto":
            return self.config.split
        if any(row.split for _, row in cuts):
            return "column"
        return "subfolders" if any(name in SPLIT_NAMES for name in _subfolders(folder)) else "fractions"

    def _splitter(self, mode: str, folder: Path, cuts: list[tuple[Cut, Row]]) -> tuple[Callable[[Cut, Row], str], str]:
        """How a cut finds its split, and a note about it."""
        if mode == "column":
            return self._by_column, "splits are those of the split column"
        if mode == "subfolders":
            return lambda cut, row: _split_of_path(folder, cut), "splits are the subfolders"
        speakers = {cut.supervisions[0].speaker for cut, _ in cuts} - {"unknown"}
        whole = self.config.split_by == "speaker" or (self.config.split_by == "auto" and len(speakers) >= MIN_SPEAKERS)
        by = "speaker" if whole else "id"
        return (
            lambda cut, row: self._by_hash(cut.supervisions[0].speaker if whole else cut.id),
            f"splits are drawn by {by}: {self.config.dev_fraction:g} dev, {self.config.test_fraction:g} test",
        )

    def _by_column(self, cut: Cut, row: Row) -> str:
        if not row.split:
            raise ValueError(
                f"{row.source}: utterance {row.id}: expected a split, got none; fill the split column for all"
            )
        return SPLIT_NAMES.get(row.split.lower(), row.split)

    def _by_hash(self, key: str) -> str:
        draw = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") / 2**64
        if draw < self.config.test_fraction:
            return "test"
        return "dev" if draw < self.config.test_fraction + self.config.dev_fraction else "train"


class _Resolver:
    """Finds the file that a transcript means: a path, a path without its suffix, or a name found once in the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unused = dict.fromkeys(audio_files(folder))
        self.by_name: dict[str, list[Path]] = {}
        for path in self.unused:
            relative = path.relative_to(folder).as_posix()
            keys = {relative, relative.removesuffix(path.suffix), path.name, path.stem}
            for key in keys:
                self.by_name.setdefault(key, []).append(path)

    def __call__(self, name: str) -> Path | None:
        direct = self.folder / name  # an absolute name replaces the folder
        known = self.by_name.get(name, [])
        path = direct if direct.is_file() else known[0] if len(known) == 1 else None
        if path is not None:
            self.unused.pop(path, None)
        return path


def _unique(rows: Iterable[Row], resolver: _Resolver, refusals: list[Refused]) -> list[Row]:
    """The first row of every id."""
    first: dict[str, Row] = {}
    for row in rows:
        if row.id in first:
            resolver(row.audio)  # its file is not one that no transcript names
            refusals.append(Refused(row.id, row.source, "duplicated id", f"{first[row.id].source} has the same id"))
        else:
            first[row.id] = row
    return list(first.values())


def _subfolders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def _split_of_path(folder: Path, cut: Cut) -> str:
    parts = Path(cut.recording.sources[0].source).relative_to(folder).parts
    if parts[0] not in SPLIT_NAMES:
        names = ", ".join(dict.fromkeys(SPLIT_NAMES.values()))
        raise ValueError(
            f"{folder / parts[0]}: expected all audio below subfolders {names}; move it, or set `split: fractions`"
        )
    return SPLIT_NAMES[parts[0]]


def _format_notes(cuts: Iterable[Cut]) -> Iterator[str]:
    rates, stereo = Counter(), 0
    for cut in cuts:
        rates[cut.sampling_rate] += 1
        stereo += cut.num_channels > 1
    if stereo:
        yield f"{stereo} recordings have several channels; their mean is used"
    if len(rates) > 1:
        found = ", ".join(f"{count} at {rate} Hz" for rate, count in rates.most_common())
        yield f"sampling rates differ ({found}); loading converts"
