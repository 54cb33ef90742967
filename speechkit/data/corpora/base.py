"""What a corpus is: a folder that can be downloaded, and splits of cuts that are made from it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.audio.utils import AudioLoadingError

from speechkit.config import Component, ComponentConfig

CORPORA_ENV = "SPEECHKIT_CORPORA"

log = logging.getLogger(__name__)


class Corpus(Component, kind="corpus"):
    """Recordings with transcripts in the folder layout of their publisher.

    A corpus folder (``corpus_dir``) looks the same wherever it lies: in ``$SPEECHKIT_CORPORA/<name>`` or in the
    ``target_dir`` of a download.
    """

    class Config(ComponentConfig):
        """Which corpus, and which of its splits."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def missing(self, corpus_dir: Path) -> str | None:
        """What ``corpus_dir`` lacks, in words, or None when :meth:`prepare` can start; looks, but reads no audio."""
        raise NotImplementedError

    def download(self, target_dir: Path) -> Path:
        """Fetch from the publisher whatever ``target_dir`` lacks; can be interrupted and run again.

        Returns:
            The corpus folder: ``target_dir``.

        Raises:
            ConnectionError: the publisher cannot be reached; what has arrived is kept and used by the next call.
            ValueError: what arrived is damaged.
        """
        raise NotImplementedError

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        """Make the splits.

        Returns:
            The cuts of each split, sorted by id: one supervision each, with text and speaker; recording paths absolute.

        Raises:
            ValueError: the folder is not complete, or a recording or transcript in it cannot be read.
        """
        raise NotImplementedError

    def require(self, corpus_dir: Path) -> Path:
        """The absolute ``corpus_dir``, or a ValueError that says what it lacks."""
        if problem := self.missing(corpus_dir):
            raise ValueError(f"{problem}; {remedy(self.config.name)}")
        return Path(corpus_dir).absolute()


def remedy(name: str) -> str:
    """How a user gets corpus ``name``, for the end of an error message."""
    return f"run the download stage, or put the corpus into <folder>/{name} and set {CORPORA_ENV}=<folder>"


def find_or_download(corpus: Corpus, target_dir: Path) -> Path:
    """The folder of ``corpus``: ``$SPEECHKIT_CORPORA/<name>`` if complete, else ``target_dir``, downloaded if need be.

    Raises:
        ConnectionError, ValueError: see :meth:`Corpus.download`; also when ``$SPEECHKIT_CORPORA`` is not a folder.
    """
    target_dir = Path(target_dir)
    shared = shared_folder(corpus.config.name)
    if shared is not None:
        if (problem := corpus.missing(shared)) is None:
            return shared.absolute()
        if shared.exists():
            log.warning("%s=%s is not enough: %s", CORPORA_ENV, os.environ[CORPORA_ENV], problem)
    if corpus.missing(target_dir) is not None:
        target_dir = corpus.download(target_dir)
    return corpus.require(target_dir)


def shared_folder(name: str) -> Path | None:
    """``$SPEECHKIT_CORPORA/<name>``, or None when the variable is not set."""
    root = os.environ.get(CORPORA_ENV)
    if not root:
        return None
    if not Path(root).expanduser().is_dir():
        raise ValueError(
            f"{CORPORA_ENV}={root}: expected a folder that holds corpora, got no folder; correct or unset it"
        )
    return Path(root).expanduser() / name


def first_missing(paths: Iterable[Path]) -> str | None:
    """The first of ``paths`` that does not exist, in words."""
    return next((f"{path}: not found" for path in paths if not path.exists()), None)


# --- cuts -----------------------------------------------------------------------------------------------------------


def read_recording(path: Path, recording_id: str) -> Recording:
    """Lhotse's description of one audio file (only its header is read).

    Raises:
        ValueError: the file is missing, empty or no audio.
    """
    with audio_errors():
        recording = Recording.from_file(path, recording_id=recording_id)
    if recording.num_samples == 0:
        raise ValueError(f"{path}: expected audio, got no samples; restore the file or remove it from the corpus")
    return recording


def read_recordings(paths: dict[str, Path], num_jobs: int = 4) -> list[Recording]:
    """:func:`read_recording` for every ``id: path``, in their order, ``num_jobs`` files at a time."""
    with ThreadPoolExecutor(num_jobs) as pool:
        return list(pool.map(lambda item: read_recording(item[1], item[0]), paths.items()))


@contextlib.contextmanager
def audio_errors() -> Iterator[None]:
    """Turn Lhotse's report of an unreadable file, one line per backend that failed, into one line for the user."""
    try:
        yield
    except AudioLoadingError as error:
        headline = str(error).splitlines()[0].removesuffix(" Details:")
        raise ValueError(f"{headline} The file is missing, empty or not audio: restore it from the corpus") from None


def make_cut(recording: Recording, text: str, speaker: str, **fields: Any) -> MonoCut:
    """The cut of a whole recording with one supervision; all three carry the recording's id.

    Args:
        recording: One channel is used, the first.
        text: Transcript.
        speaker: Who speaks.
        fields: More fields of Lhotse's SupervisionSegment (language, gender, custom).
    """
    supervision = SupervisionSegment(
        recording.id, recording.id, 0.0, recording.duration, text=text, speaker=speaker, **fields
    )
    channel = recording.channel_ids[0]
    return MonoCut(recording.id, 0.0, recording.duration, channel, supervisions=[supervision], recording=recording)


def sorted_cuts(cuts: Iterable[Any]) -> CutSet:
    """An in-memory CutSet in the order of the ids, which no file system changes."""
    return CutSet.from_cuts(sorted(cuts, key=lambda cut: cut.id))


def cuts_of_manifests(manifests: dict[str, Any], speaker: str | None = None) -> list[MonoCut]:
    """Cuts of what a Lhotse recipe returns, ``{"recordings": ..., "supervisions": ...}``, one per supervision.

    Args:
        manifests: Supervisions cover their whole recording.
        speaker: Who speaks, where the recipe does not say.
    """
    recordings = {recording.id: recording for recording in manifests["recordings"]}
    return [
        make_cut(recordings[sup.recording_id], sup.text, sup.speaker or speaker, language=sup.language)
        for sup in manifests["supervisions"]
    ]
