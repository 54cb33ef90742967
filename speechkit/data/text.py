"""Text without audio, to train language models on: sentences from files, and their tokens on the disk."""

from __future__ import annotations

import gzip
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from speechkit.data.cuts import open_cuts, transcript
from speechkit.utils.files import atomic_write

MANIFESTS, TEXTS = (".jsonl", ".jsonl.gz"), (".txt", ".gz")


def read_sentences(path: Path) -> Iterator[tuple[int, str]]:
    """The sentences of a file, with the numbers of their lines, from 1 on.

    Args:
        path: A manifest (``.jsonl``, ``.jsonl.gz``), whose transcripts are read, or a text (``.txt``, ``.gz``) of one
            sentence per line, whose blank lines are left out.

    Raises:
        ValueError: The file is missing or of another kind, or a line is cut short, corrupt, or without a transcript.
    """
    if path.name.endswith(MANIFESTS):
        yield from ((number, transcript(cut)) for number, cut in enumerate(open_cuts(path), start=1))
        return
    if not path.name.endswith(TEXTS):
        raise ValueError(f"{path}: expected a manifest (.jsonl, .jsonl.gz) or a text (.txt, .gz), got {path.name!r}")
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if sentence := line.strip():
                    yield number, sentence
    except FileNotFoundError:
        raise ValueError(f"{path}: no such text in {Path.cwd()}; check the path") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cut short or corrupt after line {number} ({error}); restore the file") from None


class TokenizedText:
    """What :func:`write_tokens` wrote: sentences as token ids, read from the disk when they are asked for.

    Args:
        folder: Where it lies.
        name: What the sentences are called after; each one's id is ``name:line``.

    Attributes:
        lens: (N,) int32 tokens per sentence.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.lens, self.lines = np.load(folder / "index.npy")
        self.ends = np.cumsum(self.lens, dtype=np.int64)
        self.tokens = np.memmap(folder / "tokens.int32", np.int32, "r")

    def __len__(self) -> int:
        return len(self.lens)

    def __getitem__(self, index: int) -> np.ndarray:
        """(U,) int32 tokens of a sentence."""
        end = self.ends[index]
        return self.tokens[end - self.lens[index] : end]

    def id(self, index: int) -> str:
        """Where a sentence came from."""
        return f"{self.name}:{self.lines[index]}"

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether ``folder`` holds a whole text."""
        return (folder / "index.npy").exists()


def write_tokens(sentences: Iterable[tuple[int, Sequence[int]]], folder: Path) -> tuple[int, int]:
    """Write sentences, given as line number and tokens, for :class:`TokenizedText`; empty ones are left out.

    Returns:
        The numbers of sentences written and left out. When none was written, ``folder`` holds no text.
    """
    lens, lines, empty = array("i"), array("i"), 0
    with atomic_write(folder / "tokens.int32", "wb") as file:
        for number, tokens in sentences:
            if not tokens:
                empty += 1
                continue
            file.write(np.asarray(tokens, np.int32).tobytes())
            lens.append(len(tokens))
            lines.append(number)
    if lens:
        with atomic_write(folder / "index.npy", "wb") as file:  # last: it says that the tokens are whole
            np.save(file, np.array([lens, lines], np.int32))
    return len(lens), empty
