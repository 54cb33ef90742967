"""Transcripts of a folder of recordings: a ``.txt`` file beside each, or one table for all.

A table is TSV or CSV with a header, JSON lines, or LJSpeech's ``metadata.csv`` (``id|text`` or ``id|raw text|text``, no
header).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from speechkit.data.audio import AUDIO_SUFFIXES
from speechkit.data.summary import Refused

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
USUAL_NAMES = ("metadata", "transcripts")
ABOUT_A_CORPUS = ("readme", "license", "licence", "copying", "changelog", "speakers")  # how names of files begin
COLUMNS = {
    "id": ("id", "utterance", "utt_id"),
    "audio": ("audio", "path", "file", "filename", "file_name", "wav"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "speaker": ("speaker", "speaker_id", "client_id", "spk"),
    "split": ("split", "subset"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One utterance as the transcripts have it."""

    id: str
    audio: str
    text: str
    speaker: str | None
    split: str | None
    source: str
    """File, or ``file:line``."""


def audio_files(folder: Path) -> Iterator[Path]:
    """All recordings below ``folder``, sorted."""
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())


def id_of(relative: Path) -> str:
    """The id of a recording that has no other, from its path in the folder."""
    return "-".join(relative.with_suffix("").parts)  # ids become file names: no slashes


def _make_row(cells: dict[str, str], source: str) -> Row:
    audio = cells.get("audio") or cells["id"]
    given = cells["id"].replace("/", "-") if cells.get("id") else id_of(Path(audio.lstrip("/")))
    text = " ".join(cells["text"].split())
    return Row(given, audio, text, cells.get("speaker") or None, cells.get("split") or None, source)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: expected UTF-8 text, got other bytes at {error.start}; convert it to UTF-8"
        ) from None


# --- a text file beside each recording ------------------------------------------------------------------------------


def read_text_files(folder: Path, refusals: list[Refused]) -> Iterator[Row]:
    """A row for every recording with a ``.txt`` beside it.

    One that cannot be read is added to ``refusals``, and so is one without a recording, unless no recording has any or
    its name says that it is about the corpus (README.txt).
    """
    used = set()
    for path in audio_files(folder):
        beside, relative = path.with_suffix(".txt"), path.relative_to(folder)
        if not beside.is_file():
            continue  # reported as a file that no transcript names
        used.add(beside)
        try:
            yield _make_row({"audio": relative.as_posix(), "text": _read_text(beside)}, str(beside))
        except ValueError as error:
            refusals.append(Refused(id_of(relative), str(path), "unreadable transcript", str(error)))
    for path in sorted(folder.rglob("*.txt")) if used else ():
        if path not in used and not path.stem.lower().startswith(ABOUT_A_CORPUS):
            name = id_of(path.relative_to(folder))
            refusals.append(Refused(name, str(path), "missing file", "no recording of this name beside its transcript"))


# --- one table ------------------------------------------------------------------------------------------------------


def find_table(folder: Path, name: str | None = None) -> Path | None:
    """The table of ``folder``, or None for a folder with text files.

    A metadata or transcripts file is the table; without one, text files beside recordings are the transcripts; without
    those, any table is.

    Args:
        folder: Holds recordings and transcripts.
        name: The option ``transcripts``: which file it is.

    Raises:
        ValueError: There is no such file, it is no table, or there are several.
    """
    if name is not None:
        return _named_table(folder / name)
    tables = sorted(path for path in folder.iterdir() if path.suffix in TABLE_SUFFIXES and path.is_file())
    usual = [path for path in tables if path.stem in USUAL_NAMES]
    if not usual and any(path.with_suffix(".txt").is_file() for path in audio_files(folder)):
        return None
    found = usual or tables
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{folder}: expected one table, got {names}; name it: `transcripts={found[0].name}`")
    return found[0] if found else None


def _named_table(table: Path) -> Path:
    if table.suffix not in TABLE_SUFFIXES:
        raise ValueError(f"{table}: expected transcripts in .csv, .tsv or .jsonl, got {table.suffix or 'no suffix'}")
    if not table.is_file():
        raise ValueError(
            f"{table}: no such file; correct `transcripts`, or leave it out for .txt files beside the audio"
        )
    return table


class Table:
    """Reads one table.

    Args:
        path: ``.tsv``, ``.csv`` or ``.jsonl``.
        separator: Between columns; None for the usual one.
        columns: Names of columns that are not the usual ones.
    """

    def __init__(self, path: Path, separator: str | None = None, columns: Mapping[str, str] | None = None) -> None:
        self.path, self.separator, self.columns = path, separator, columns or {}

    def rows(self, refusals: list[Refused]) -> Iterator[Row]:
        """The rows that are complete; the others are added to ``refusals``.

        Raises:
            ValueError: The file is not UTF-8, or lacks a column.
        """
        read = self._json_records if self.path.suffix == ".jsonl" else self._records
        for index, (number, record) in enumerate(read(refusals)):
            found = {name: self._column(name, record) for name in COLUMNS}
            if (problem := self._column_problem(found)) is None:
                cells = {name: str(record[key] or "") for name, key in found.items() if key}
                yield _make_row(cells, f"{self.path}:{number}")
            elif index == 0:  # the layout is wrong, not this line
                raise ValueError(f"{self.path}:{number}: {problem}, got {', '.join(map(str, record))}; set `columns`")
            else:
                refusals.append(self._malformed(number, problem))

    def _records(self, refusals: list[Refused]) -> Iterator[tuple[int, dict]]:
        """Line number and cells by column name."""
        text = _read_text(self.path)
        first_line = text.partition("\n")[0]
        usual = "\t" if self.path.suffix == ".tsv" else "|" if "|" in first_line else ","
        separator = self.separator or usual
        # Only comma separated files quote: in the others a quotation mark is a part of the text.
        quoting = csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting)
        try:
            rows = ((reader.line_num, cells) for cells in reader if any(cells))
            number, header = next(rows, (1, []))
            if separator == "|" and not self._is_header(header):
                rows = itertools.chain([(number, header)], rows)
                header = ["id", "text"] if len(header) == 2 else ["id", "raw", "text"]
            for number, cells in rows:
                if len(cells) == len(header):
                    yield number, dict(zip(header, cells))
                else:
                    refusals.append(self._malformed(number, f"expected {len(header)} columns, got {len(cells)}"))
        except csv.Error as error:
            raise ValueError(f"{self.path}:{reader.line_num}: {error}; write the table again") from None

    def _json_records(self, refusals: list[Refused]) -> Iterator[tuple[int, dict]]:
        for number, line in enumerate(_read_text(self.path).split("\n"), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                record = error
            if isinstance(record, dict):
                yield number, record
            else:
                refusals.append(self._malformed(number, f"expected a JSON object, got {line[:40]!r}"))

    def _is_header(self, cells: list[str]) -> bool:
        return any(self._column(name, cells) for name in ("audio", "text", "speaker"))

    def _column(self, name: str, header: Iterable[str]) -> str | None:
        """The header's word for the column ``name``."""
        known = (self.columns[name],) if name in self.columns else COLUMNS[name]
        return next((cell for cell in header if cell in known or cell.lower() in known), None)

    def _column_problem(self, found: dict[str, str | None]) -> str | None:
        for name, column in self.columns.items():
            if found[name] is None:
                return f"expected a column {column!r} for {name}"
        if found["text"] is None:
            return f"expected a column for the transcript ({', '.join(COLUMNS['text'])})"
        if found["audio"] is None and found["id"] is None:
            return f"expected a column for the audio file ({', '.join(COLUMNS['audio'])})"
        return None

    def _malformed(self, number: int, detail: str) -> Refused:
        return Refused(f"line {number}", f"{self.path}:{number}", "malformed row", detail)
