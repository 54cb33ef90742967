"""Manifests of cuts: Lhotse ``CutSet`` files that are whole, or refused by a message with file, line and cut id."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from lhotse import CutSet
from lhotse.cut import Cut
from lhotse.serialization import deserialize_item

from speechkit.data.audio import load_audio
from speechkit.utils.files import atomic_write

__all__ = ["check_cuts", "checked_cuts", "load_audio", "open_cuts", "transcript", "write_cuts"]

_AGAIN = "write it again with the prepare stage"


class _Manifest:
    """The cuts of one ``.jsonl`` or ``.jsonl.gz`` file, read while they are walked through, as often as asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Cut]:
        for number, line in _lines(self.path):
            yield _parse(line, f"{self.path}:{number}")

    def __len__(self) -> int:
        return sum(1 for _ in _lines(self.path))


def _open_text(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        with _open_text(path) as file:
            for number, line in enumerate(file, start=1):
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cut short or corrupt after line {number} ({error}); {_AGAIN}") from None


def _parse(line: str, where: str) -> Cut:
    try:
        cut = deserialize_item(json.loads(line))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where}: cut short or corrupt: expected a JSON object, got {line[:40]!r} ({error}); {_AGAIN}"
        ) from None
    except (AttributeError, KeyError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"{where}: not a Lhotse cut ({type(error).__name__}: {error}); {_AGAIN}") from None
    if not isinstance(cut, Cut):
        raise ValueError(f"{where}: expected a cut, got a {type(cut).__name__}; {_AGAIN} as a CutSet")
    return cut


def open_cuts(path: Path | str) -> CutSet:
    """The cuts of a manifest, or of a folder in Lhotse's Shar format, read lazily: memory does not grow with them.

    Raises:
        ValueError: ``path`` is missing or no manifest; later, while the cuts are walked through, when a line is cut
            short or corrupt.
    """
    path = Path(path)
    if path.is_dir():
        if not list(path.glob("cuts.*.jsonl*")):
            raise ValueError(
                f"{path}: expected a manifest or a Lhotse Shar folder, got a folder without cuts.*.jsonl files"
            )
        return CutSet.from_shar(in_dir=path)
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise ValueError(f"{path}: expected a manifest ending in .jsonl or .jsonl.gz, got {path.name!r}")
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.jsonl*")) if path.parent.is_dir() else []
        there = f"its folder has {', '.join(near)}" if near else "its folder has no manifests"
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise ValueError(f"{path}: no such manifest{where} ({there}); run the prepare stage first")
    return CutSet(_Manifest(path))


def write_cuts(cuts: Iterable[Cut], path: Path | str) -> int:
    """Write a manifest so that ``path`` holds the old one or the whole new one, never a part; equal cuts, equal bytes.

    Returns:
        The number of cuts.

    Raises:
        ValueError: Two cuts have the same id.
        OSError: The file system refused (full disk, permissions); the old manifest is untouched.
    """
    path, seen = Path(path), set()
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise ValueError(f"{path}: expected a manifest name ending in .jsonl or .jsonl.gz")
    with atomic_write(path, "wb") as raw, _text_writer(raw, path) as file:
        for cut in cuts:
            if cut.id in seen:
                raise ValueError(f"{path}: cut {cut.id}: two cuts have this id; give every utterance its own")
            seen.add(cut.id)
            file.write(json.dumps(cut.to_dict(), ensure_ascii=False) + "\n")
    return len(seen)


def _text_writer(raw: IO[bytes], path: Path) -> IO[str]:
    # No name and no time in the gzip header: the bytes depend on the cuts alone.
    binary = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
    return io.TextIOWrapper(binary, encoding="utf-8")


def transcript(cut: Cut) -> str:
    """The text of a cut.

    Raises:
        ValueError: The cut does not have exactly one supervision with text.
    """
    if len(cut.supervisions) != 1 or cut.supervisions[0].text is None:
        got = f"{len(cut.supervisions)} supervisions" if len(cut.supervisions) != 1 else "one without text"
        raise ValueError(f"cut {cut.id}: expected one supervision with text, got {got}; prepare the manifest again")
    return cut.supervisions[0].text


def checked_cuts(path: Path | str) -> Iterator[Cut]:
    """The cuts of a manifest, refusing what training would stumble over hours later; no audio is read.

    Raises:
        ValueError: The manifest is missing, cut short, corrupt or empty, or a cut has an id that another one has, no
            transcript, or no duration.
    """
    seen: dict[str, int] = {}
    for number, cut in enumerate(open_cuts(path), start=1):
        if cut.id in seen:
            raise ValueError(
                f"{path}:{number}: cut {cut.id}: line {seen[cut.id]} has the same id; {_AGAIN} with unique ids"
            )
        seen[cut.id] = number
        try:
            transcript(cut)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        if not cut.duration > 0:
            raise ValueError(
                f"{path}:{number}: cut {cut.id}: expected a duration above 0 s, got {cut.duration}; {_AGAIN}"
            )
        yield cut
    if not seen:
        raise ValueError(f"{path}: the manifest has no cuts; {_AGAIN}, and look at what it refuses")


def check_cuts(path: Path | str) -> int:
    """Walk through :func:`checked_cuts`; returns their number."""
    return sum(1 for _ in checked_cuts(path))
