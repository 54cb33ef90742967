"""Small corpora in the folder layouts of their publishers, spoken by espeak-ng, for tests without the real ones.

Every function fills ``folder`` as ``$SPEECHKIT_CORPORA/<name>`` would be, and returns ``{part: {utterance id: text}}``.
"""

from __future__ import annotations

import itertools
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from speechkit.data.corpora import espeak, fsdd, mini, mini_librispeech

Texts = dict[str, dict[str, str]]

LIBRISPEECH_PARTS = (
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
    "dev-clean",
    "dev-other",
    "test-clean",
    "test-other",
)
COMMON_VOICE_COLUMNS = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale segment"
).split()
MANDARIN = ("打开 厨房 的 灯", "关上 窗户", "播放 下 一 首 歌", "今天 天气 怎么样", "零 一 二 三 四", "五 六 七 八 九")


def speech(texts: Sequence[str], voices: Sequence[str], sampling_rate: int = 16000) -> list[np.ndarray]:
    """Each text by the voice beside it: (L,) float32."""
    spoken = espeak.speak([espeak.Sentence(text.lower(), voice) for text, voice in zip(texts, voices, strict=True)])
    samples = (np.frombuffer(block, np.int16).astype(np.float32) / 32768 for block in spoken)
    return [soxr.resample(wav, espeak.SAMPLING_RATE, sampling_rate) for wav in samples]


def english(count: int, seed: int = 0) -> list[str]:
    """Sentences of the built-in corpus."""
    rng = np.random.default_rng(seed)
    return [mini.draw_command(rng) if number % 2 else mini.draw_digits(rng) for number in range(count)]


def voice(number: int) -> str:
    """A voice for speaker ``number``."""
    variants = mini.VARIANTS["train"]
    return f"{mini.ACCENTS[number % len(mini.ACCENTS)]}+{variants[number % len(variants)]}"


def write_librispeech(
    folder: Path, parts: Iterable[str] = LIBRISPEECH_PARTS, num_speakers: int = 2, num_utterances: int = 2
) -> Texts:
    """LibriSpeech; every part has speakers of its own."""
    numbers = itertools.count(100)
    speakers = {part: [next(numbers) for _ in range(num_speakers)] for part in parts}
    return _write_librispeech(Path(folder), speakers, num_utterances)


def write_mini_librispeech(folder: Path, num_utterances: int = 1) -> Texts:
    """Mini LibriSpeech: train-clean-5 with the 24 speakers that its splits know and one more, and dev-clean-2."""
    known = [int(name) for names in mini_librispeech.HELD_OUT.values() for name in names]
    return _write_librispeech(Path(folder), {"train-clean-5": [*known, 5000], "dev-clean-2": [84, 174]}, num_utterances)


def _write_librispeech(folder: Path, speakers: dict[str, list[int]], num_utterances: int) -> Texts:
    root = folder / "LibriSpeech"
    texts: Texts = {}
    for part, numbers in speakers.items():
        ids = [f"{number}-{number + 1000}-{take:04d}" for number in numbers for take in range(num_utterances)]
        texts[part] = dict(zip(ids, (text.upper() for text in english(len(ids), seed=numbers[0])), strict=True))
        wavs = speech(list(texts[part].values()), [voice(int(name.split("-")[0])) for name in ids])
        for name, wav in zip(ids, wavs, strict=True):
            speaker, chapter, _ = name.split("-")
            chapter_folder = root / part / speaker / chapter
            chapter_folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(chapter_folder / f"{name}.flac", wav, 16000)
            with open(chapter_folder / f"{speaker}-{chapter}.trans.txt", "a", encoding="utf-8") as file:
                file.write(f"{name} {texts[part][name]}\n")
    rows = [
        f"{number:<4} | F | {part:<16} | 0.10 | Speaker {number}" for part, all_ in speakers.items() for number in all_
    ]
    (root / "SPEAKERS.TXT").write_text(
        "\n".join([";ID  |SEX| SUBSET           |MINUTES| NAME", *rows, ""]), encoding="utf-8"
    )
    for name in ("README.TXT", "LICENSE.TXT", "CHAPTERS.TXT", "BOOKS.TXT"):
        (root / name).write_text("; as published\n", encoding="utf-8")
    return texts


def write_aishell(folder: Path, num_utterances: int = 2, packed: bool = False) -> Texts:
    """AISHELL-1, two speakers in train and one in dev and test each.

    Args:
        folder: See the module.
        num_utterances: Of each speaker.
        packed: Leave the recordings in one archive per speaker, as data_aishell.tgz brings them.
    """
    root = Path(folder) / "data_aishell"
    texts: Texts = {}
    for part, speakers in {"train": ("S0002", "S0003"), "dev": ("S0724",), "test": ("S0764",)}.items():
        ids = [f"BAC009{speaker}W{take:04d}" for speaker in speakers for take in range(121, 121 + num_utterances)]
        lines = [MANDARIN[number % len(MANDARIN)] for number in range(len(ids))]
        for name, wav in zip(ids, speech(lines, ["cmn"] * len(ids)), strict=True):
            path = root / "wav" / part / name[6:11] / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wav, 16000, subtype="PCM_16")
        texts[part] = dict(zip(ids, lines, strict=True))
    if packed:
        _pack_speakers(root / "wav")
    (root / "transcript").mkdir()
    transcripts = [f"{name} {text}\n" for part in texts.values() for name, text in part.items()]
    (root / "transcript/aishell_transcript_v0.8.txt").write_text("".join(transcripts), encoding="utf-8")
    return texts


def _pack_speakers(wav: Path) -> None:
    for speaker in sorted(wav.glob("*/*")):
        with tarfile.open(wav / f"{speaker.name}.tar.gz", "w:gz") as tar:
            tar.add(speaker, arcname=f"{speaker.parent.name}/{speaker.name}")
    for part in [path for path in wav.iterdir() if path.is_dir()]:
        shutil.rmtree(part)


def write_common_voice(
    folder: Path,
    language: str = "en",
    release: str | None = None,
    num_clips: int = 2,
    tables: Sequence[str] = ("train", "dev", "test", "validated"),
) -> Texts:
    """Common Voice: ``num_clips`` in train, dev and test each, all of which are also in validated.

    Args:
        folder: See the module.
        language: Folder of the language; the sentences are English, or Mandarin for ``zh-CN``.
        release: A folder between, as ``cv-corpus-17.0-2024-03-15``.
        num_clips: Clips of each table, one speaker each.
        tables: Which ``.tsv`` files to write.
    """
    root = Path(folder, *([release] if release else []), language)
    (root / "clips").mkdir(parents=True)
    names = [f"common_voice_{language}_{100 + number}" for number in range(3 * num_clips)]
    sentences = (
        [*itertools.islice(itertools.cycle(MANDARIN), len(names))] if language == "zh-CN" else english(len(names))
    )
    voices = ["cmn"] * len(names) if language == "zh-CN" else [voice(number) for number in range(len(names))]
    sentences = [
        f"{text[0].upper()}{text[1:]}." if language != "zh-CN" else f"{text.replace(' ', '')}。" for text in sentences
    ]
    for name, wav in zip(names, speech(sentences, voices, 32000), strict=True):
        soundfile.write(root / "clips" / f"{name}.mp3", wav, 32000)
    everything = dict(zip(names, sentences, strict=True))
    texts = {part: {name: everything[name] for name in names[i::3]} for i, part in enumerate(("train", "dev", "test"))}
    texts["validated"] = everything
    for table in tables:
        rows = [_common_voice_row(name, text, language) for name, text in texts[table].items()]
        lines = ["\t".join(row) + "\n" for row in (COMMON_VOICE_COLUMNS, *rows)]
        (root / f"{table}.tsv").write_text("".join(lines), encoding="utf-8")
    return {table: texts[table] for table in tables}


def _common_voice_row(name: str, text: str, language: str) -> list[str]:
    facts = dict.fromkeys(COMMON_VOICE_COLUMNS, "")
    facts |= {"client_id": f"client{name[-3:]}", "path": f"{name}.mp3", "sentence": text, "locale": language}
    return list((facts | {"up_votes": "2", "down_votes": "0"}).values())


def write_yesno(folder: Path) -> Texts:
    """yesno: 60 recordings of eight words, 8 kHz."""
    root = Path(folder) / "waves_yesno"
    root.mkdir(parents=True)
    names = ["_".join(f"{(37 * number) % 256:08b}") for number in range(60)]
    texts = {name: name.replace("0", "NO").replace("1", "YES").replace("_", " ") for name in names}
    for name, wav in zip(names, speech(list(texts.values()), ["en"] * 60, 8000), strict=True):
        soundfile.write(root / f"{name}.wav", wav, 8000, subtype="PCM_16")
    return {"all": texts}


def write_fsdd(folder: Path) -> Texts:
    """FSDD: all 3000 names; the fifty takes of a speaker's digit are the same file, under fifty names."""
    root = Path(folder) / "recordings"
    root.mkdir(parents=True)
    speakers = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    pairs = list(itertools.product(range(10), range(len(speakers))))
    wavs = speech([fsdd.WORDS[digit] for digit, _ in pairs], [voice(number) for _, number in pairs], 8000)
    texts = {}
    for (digit, number), wav in zip(pairs, wavs, strict=True):
        names = [f"{digit}_{speakers[number]}_{take}" for take in range(50)]
        soundfile.write(root / f"{names[0]}.wav", wav, 8000, subtype="PCM_16")
        for name in names[1:]:
            (root / f"{name}.wav").hardlink_to(root / f"{names[0]}.wav")
        texts |= dict.fromkeys(names, fsdd.WORDS[digit])
    return {"all": texts}
