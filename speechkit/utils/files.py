"""Files that are whole or absent: atomic writes, checksums, and errors that name the file."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it onto ``path`` when the block ends well, else remove it.

    Raises:
        OSError: what the file system said, with the final path in the message; the old ``path`` is untouched.
    """
    path = Path(path)
    # The suffix stays last, because writers (numpy, soundfile) choose the format from it.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(error.errno, f"{path}: cannot write: {reason}; free space or fix permissions, then run again") from error
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_write(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open ``path`` for writing so that readers see the old content or all of the new, never a part."""
    encoding = None if "b" in mode else "utf-8"
    with atomic_path(path) as partial, open(partial, mode, encoding=encoding) as file:
        yield file


def find_file(path: Path, model_dir: Path | None, what: str, remedy: str) -> Path:
    """A path of the options as it is given or, if nothing is there, in the model's folder.

    Args:
        path: A file or a folder.
        model_dir: The model's folder, where there is one.
        what: What it should be, for the error.
        remedy: How to get one.

    Raises:
        ValueError: It is in neither place.
    """
    folders = [Path()] if model_dir is None or path.is_absolute() else [Path(), model_dir]
    for folder in folders:
        if (folder / path).exists():
            return folder / path
    where = "" if path.is_absolute() else f" in {' or '.join(str(folder.absolute()) for folder in folders)}"
    raise ValueError(f"{path}: expected {what}, found nothing{where}; {remedy}")


def sha256(path: Path | str) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
