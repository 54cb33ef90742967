"""LibriTTS: LibriSpeech's books for synthesis, 585 hours at 24 kHz with punctuation and case. CC BY 4.0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from lhotse import CutSet
from pydantic import Field

from speechkit.data.corpora.base import first_missing, sorted_cuts
from speechkit.data.corpora.download import Archive, download_and_extract
from speechkit.data.corpora.voice import VoiceCorpus, read_transcript, require_audio

# OpenSLR 60; the sums are those that torchaudio 0.8 compared with.
_CHECKSUMS = {
    "dev-clean": "0c3076c1e5245bb3f0af7d82087ee207",
    "dev-other": "815555d8d75995782ac3ccd7f047213d",
    "test-clean": "7bed3bdb047c4c197f1ad3bc412db59f",
    "test-other": "ae3258249472a13b5abef2a816f733e4",
    "train-clean-100": "4a8c202b78fe1bc0c47916a98f3a2ea8",
    "train-clean-360": "a84ef10ddade5fd25df69596a2767b2d",
    "train-other-500": "7b181dd5ace343a5f38427999684aa6f",
}
_TRAIN_PARTS = ("train-clean-100", "train-clean-360", "train-other-500")
_EVALUATION_PARTS = ("dev-clean", "dev-other", "test-clean", "test-other")


class LibriTts(VoiceCorpus, name="libritts"):
    """OpenSLR 60 (``LibriTTS/<part>/<speaker>/<chapter>/<id>.wav``, ``<id>.normalized.txt`` beside it).

    Splits:

    * ``parts``: train, and the published evaluation parts as dev_clean, dev_other, test_clean, test_other. Speakers differ
      between splits.
    * ``utterances``: the training parts alone. Of some speakers, evenly spaced in the order of their names, the last clip is
      test, and the one before it dev; the others train. All voices are known.

    We read the files ourselves: Lhotse's recipe leaves out recordings that its tables name and that are
    not there.
    """

    class Config(VoiceCorpus.Config):
        """How much of it."""

        train_parts: Annotated[tuple[Literal[_TRAIN_PARTS], ...], Field(min_length=1)] = _TRAIN_PARTS
        """Parts that make up train: train-clean-100, train-clean-360, train-other-500; the default is all of them."""

        evaluation_parts: Annotated[tuple[Literal[_EVALUATION_PARTS], ...], Field(min_length=1)] = _EVALUATION_PARTS
        """Parts that become splits of their own."""

        split: Literal["parts", "utterances"] = "parts"
        """What is held out: speakers, or clips of speakers that train has."""

        num_held_out: Annotated[int, Field(ge=1)] = 50
        """Speakers of whom clips are held out, for ``utterances``; all, if there are fewer."""

        text: Literal["normalized", "original"] = "normalized"
        """Transcripts with numbers and abbreviations in words, or as printed."""

    def missing(self, corpus_dir: Path) -> str | None:
        return first_missing(Path(corpus_dir) / "LibriTTS" / part for part in self._parts)

    def download(self, target_dir: Path) -> Path:
        for part in self._parts:
            if not (Path(target_dir) / "LibriTTS" / part).exists():
                url = f"https://www.openslr.org/resources/60/{part}.tar.gz"
                download_and_extract(Archive(url, f"md5:{_CHECKSUMS[part]}"), target_dir)
        return Path(target_dir)

    def prepare(self, corpus_dir: Path) -> dict[str, CutSet]:
        folder = self.require(corpus_dir) / "LibriTTS"
        genders = _genders(folder)
        cuts = {part: self._make_cuts(dict(self._clips(folder / part, genders))) for part in self._parts}
        train = sorted_cuts(cut for part in self.config.train_parts for cut in cuts[part])
        if self.config.split == "utterances":
            return _hold_out_clips(train, self.config.num_held_out)
        return {
            "train": train,
            **{part.replace("-", "_"): sorted_cuts(cuts[part]) for part in self.config.evaluation_parts},
        }

    @property
    def _parts(self) -> tuple[str, ...]:
        evaluation = self.config.evaluation_parts if self.config.split == "parts" else ()
        return (*self.config.train_parts, *evaluation)

    def _clips(self, part: Path, genders: dict[str, str]) -> Iterator[tuple[str, tuple[Path, str, str, dict]]]:
        suffix = f".{self.config.text}.txt"
        # Files like ._84_121550_000007_000000.wav, which a Mac left behind, are no recordings.
        texts = sorted(path for path in part.glob(f"*/*/*{suffix}") if not path.name.startswith("._"))
        if not texts:
            raise ValueError(
                f"{part}: no transcripts (*{suffix}) in it; remove the folder and extract {part.name}.tar.gz again"
            )
        wavs = [path.with_name(path.name.removesuffix(suffix) + ".wav") for path in texts]
        require_audio([wav.stem for wav in wavs if not wav.exists()], len(wavs), part, ".wav")
        for wav, text in zip(wavs, texts, strict=True):
            speaker = wav.parts[-3]
            fields = {"language": "en", "gender": genders.get(speaker)}
            yield wav.stem, (wav, read_transcript(text), speaker, fields)


def _hold_out_clips(cuts: CutSet, num_speakers: int) -> dict[str, CutSet]:
    """The last clip of each of some speakers for test, the one before it for dev; only of those who have three or more."""
    clips: dict[str, list[str]] = {}
    for cut in cuts:
        clips.setdefault(cut.supervisions[0].speaker, []).append(cut.id)
    speakers = sorted(speaker for speaker, ids in clips.items() if len(ids) > 2)
    count = min(num_speakers, len(speakers))
    chosen = [clips[speakers[i * len(speakers) // count]] for i in range(count)]
    split_of = {ids[-1]: "test" for ids in chosen} | {ids[-2]: "dev" for ids in chosen}
    parts = {name: [cut for cut in cuts if split_of.get(cut.id, "train") == name] for name in ("train", "dev", "test")}
    return {name: sorted_cuts(part) for name, part in parts.items() if part}


def _genders(folder: Path) -> dict[str, str]:
    """Gender by speaker, from lines like ``14   | F | train-clean-360  | 25.03 | ...``; none without the table."""
    path = folder / "SPEAKERS.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = ([field.strip() for field in line.split("|")] for line in lines if not line.startswith(";"))
    return {row[0]: row[1] for row in rows if len(row) > 1 and row[1] in ("F", "M")}
