"""LibriSpeech: 1000 hours of read English books, 16 kHz flac; and what its smaller relative shares with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from lhotse import CutSet
from lhotse.cut import MonoCut
from lhotse.recipes.librispeech import prepare_librispeech
from pydantic import Field

from speechkit.data.corpora.base import Corpus, audio_errors, cuts_of_manifests, first_missing, sorted_cuts
from speechkit.data.corpora.download import Archive, download_and_extract

# md5sum.txt of OpenSLR 12 and 31
_CHECKSUMS = {
    "dev-clean": "42e2234ba48799c1f50f24a7926300a1",
    "dev-other": "c8d0bcc9cca99d4f8b62fcc847357931",
    "test-clean": "32fa31d27d2e1cad72775fee3f4849a9",
    "test-other": "fb5a50374b501bb3bac4815ee91d3135",
    "train-clean-100": "2a93770f6d5c6c964bc36631d331a522",
    "train-clean-360": "c0e676e450a7ff2f54aeade5171606fa",
    "train-other-500": "d1a0fd59409feb2c614ce4d30c387708",
    "train-clean-5": "5df7d4e78065366204ca6845bb08f490",
    "dev-clean-2": "6d7ab67ac6a1d2c993d050e16d61080d",
}
EVALUATION_PARTS = ("dev-clean", "dev-other", "test-clean", "test-other")
_TRAIN_PARTS = ("train-clean-100", "train-clean-360", "train-other-500")


class LibriSpeech(Corpus, name="librispeech"):
    """OpenSLR 12. Splits: train, dev_clean, dev_other, test_clean, test_other; transcripts in capitals as published."""

    class Config(Corpus.Config):
        """How much of it."""

        train_parts: Annotated[tuple[Literal[_TRAIN_PARTS], ...], Field(min_length=1)] = _TRAIN_PARTS
        """Parts that make up train: train-clean-100, train-clean-360, train-other-500; the default is all 960 hours."""

        num_jobs: Annotated[int, Field(gt=0)] = 4
        """Audio files whose headers are read at a time."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The archives of which this corpus consists."""
        return (*self.config.train_parts, *EVALUATION_PARTS)

    def missing(self, corpus_dir: Path) -> str | None:
        return missing_parts(corpus_dir, self.parts)

    def download(self, target_dir: Path) -> Path:
        return download_parts(target_dir, self.parts, openslr=12)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        cuts = read_parts(self.require(corpus_dir), self.parts, self.config.num_jobs)
        train = [cut for part in self.config.train_parts for cut in cuts[part]]
        return {
            "train": sorted_cuts(train),
            **{part.replace("-", "_"): sorted_cuts(cuts[part]) for part in EVALUATION_PARTS},
        }


def parts_folder(corpus_dir: Path) -> Path:
    """The folder that holds the parts: ``LibriSpeech`` in ``corpus_dir``, or ``corpus_dir`` where that is it."""
    inner = Path(corpus_dir) / "LibriSpeech"
    return inner if inner.is_dir() or Path(corpus_dir).name != "LibriSpeech" else Path(corpus_dir)


def missing_parts(corpus_dir: Path, parts: Iterable[str]) -> str | None:
    """See :meth:`Corpus.missing`."""
    return first_missing(parts_folder(corpus_dir) / part for part in parts)


def download_parts(target_dir: Path, parts: Sequence[str], openslr: int) -> Path:
    """Fetch the ``parts`` that ``target_dir`` lacks from OpenSLR's resource number ``openslr``."""
    for part in parts:
        if missing_parts(target_dir, [part]):
            url = f"https://www.openslr.org/resources/{openslr}/{part}.tar.gz"
            download_and_extract(Archive(url, f"md5:{_CHECKSUMS[part]}"), target_dir)
    return Path(target_dir)


def read_parts(corpus_dir: Path, parts: Sequence[str], num_jobs: int) -> dict[str, list[MonoCut]]:
    """The cuts of each part, through Lhotse's recipe.

    Raises:
        ValueError: a part has no transcripts, or a transcript has no recording (the recipe itself would leave it out).
    """
    folder = parts_folder(corpus_dir)
    ids = {part: _transcribed(folder / part) for part in parts}
    with audio_errors():
        manifests = prepare_librispeech(folder, dataset_parts=list(parts), num_jobs=num_jobs)
    cuts = {part: cuts_of_manifests(manifests[part]) for part in parts}
    for part in parts:
        if lost := sorted(ids[part] - {cut.id for cut in cuts[part]}):
            raise ValueError(
                f"{folder / part}: {len(lost)} of {len(ids[part])} transcribed recordings are missing, first "
                f"{lost[0]}.flac; remove the folder and extract {part}.tar.gz again"
            )
    return cuts


def _transcribed(part: Path) -> set[str]:
    """Ids of the utterances in a part's ``*.trans.txt``."""
    ids = set()
    for path in part.rglob("*.trans.txt"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(line.split(maxsplit=1)) != 2:
                raise ValueError(
                    f"{path}:{number}: expected an utterance id and its words, got {line!r}; correct the line"
                )
            ids.add(line.split(maxsplit=1)[0])
    if not ids:
        raise ValueError(
            f"{part}: no transcripts (*.trans.txt) in it; remove the folder and extract {part.name}.tar.gz again"
        )
    return ids
