"""AISHELL-1: 178 hours of read Mandarin by 400 speakers, 16 kHz wav."""

from __future__ import annotations

from pathlib import Path

from lhotse import CutSet
from lhotse.recipes.aishell import prepare_aishell

from speechkit.data.corpora.base import Corpus, audio_errors, cuts_of_manifests, first_missing, sorted_cuts
from speechkit.data.corpora.download import Archive, download_and_extract

# OpenSLR 33. The archive holds one more archive per speaker. The second archive of the corpus, resource_aishell.tgz
# (a lexicon and speaker facts), is not needed for speech and transcripts.
ARCHIVE = Archive(
    "https://www.openslr.org/resources/33/data_aishell.tgz",
    "md5:2f494334227864a8a8fec932999db9d8",
    inner=("data_aishell/wav/*.tar.gz",),
)
SPLITS = ("train", "dev", "test")


class Aishell(Corpus, name="aishell"):
    """OpenSLR 33 (``data_aishell``). Splits: train, dev, test; the words of a transcript are joined without spaces.

    A few recordings of the published corpus have no transcript; like everyone else we leave them out.
    """

    class Config(Corpus.Config):
        """AISHELL has no options."""

    def missing(self, corpus_dir: Path) -> str | None:
        folder = Path(corpus_dir) / "data_aishell"
        return first_missing([_transcripts(corpus_dir), *(folder / "wav" / split for split in SPLITS)])

    def download(self, target_dir: Path) -> Path:
        download_and_extract(ARCHIVE, target_dir)
        return Path(target_dir)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        """See :meth:`Corpus.prepare`; a transcript without its recording is an error, not left out."""
        corpus_dir = self.require(corpus_dir)
        transcribed = _transcribed(_transcripts(corpus_dir))
        with audio_errors():
            manifests = prepare_aishell(corpus_dir)
        splits = {split: sorted_cuts(cuts_of_manifests(manifests[split])) for split in SPLITS}
        if lost := sorted(transcribed - {cut.id for cuts in splits.values() for cut in cuts}):
            raise ValueError(
                f"{corpus_dir / 'data_aishell/wav'}: {len(lost)} of {len(transcribed)} transcribed recordings are "
                f"missing, first {lost[0]}.wav; extract the archives in wav/ (S0002.tar.gz ...), or all of it again"
            )
        return splits


def _transcripts(corpus_dir: Path) -> Path:
    return Path(corpus_dir) / "data_aishell/transcript/aishell_transcript_v0.8.txt"


def _transcribed(path: Path) -> set[str]:
    """Ids of the utterances that have a transcript."""
    ids = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if len(line.split()) < 2:
            raise ValueError(f"{path}:{number}: expected an utterance id and its words, got {line!r}; correct the line")
        ids.add(line.split()[0])
    return ids
