"""Tiny corpora for synthesis in the folder layouts of their publishers: bursts of noise with transcripts, no speech.

Every function fills ``folder`` as ``$SPEECHKIT_CORPORA/<name>`` would be, and returns ``{utterance id: text}``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def burst(seed: int, sampling_rate: int, peak: float = 0.5, num_samples: int = 997) -> np.ndarray:
    """(L,) float32 noise with this largest magnitude."""
    noise = np.random.default_rng(seed).normal(size=num_samples)
    return (peak * noise / np.abs(noise).max()).astype(np.float32)


def write_audio(path: Path, seed: int, sampling_rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, burst(seed, sampling_rate), sampling_rate, subtype="PCM_16")


def write_ljspeech(folder: Path, count: int = 7) -> dict[str, str]:
    """LJSpeech-1.1: the normalized texts, of which the first differs from what is printed."""
    root = Path(folder) / "LJSpeech-1.1"
    texts = {f"LJ001-{number:04d}": f"Sentence number {'one' if number == 1 else number}." for number in range(1, count + 1)}
    for seed, name in enumerate(texts):
        write_audio(root / "wavs" / f"{name}.wav", seed, 22050)
    printed = {name: text.replace("one", "1") for name, text in texts.items()}
    lines = [f"{name}|{printed[name]}|{text}\n" for name, text in texts.items()]
    (root / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    (root / "README").write_text("as published\n", encoding="utf-8")
    return texts


def write_kathleen(folder: Path, prompts: int = 7) -> dict[str, str]:
    """dataset-voice-kathleen: prompt number n was read n % 3 + 1 times; the last prompt has the words of the first."""
    texts = {}
    for number in range(1, prompts + 1):
        words = f"Prompt number {number}." if number < prompts else "Prompt, number 1!"
        for take in range(number % 3 + 1):
            name = f"arctic_{'b' if number > 4 else 'a'}{number:04d}_{1592700000 + 10 * take}"
            write_audio(Path(folder, "data", f"{name}.wav"), len(texts), 24000)
            Path(folder, "data", f"{name}.txt").write_text(f"{words}\n", encoding="utf-8")
            texts[name] = words
    Path(folder, "cmuarctic.data").write_text('( arctic_a0001 "Prompt number 1." )\n', encoding="utf-8")
    return texts


def write_vctk(
    folder: Path, speakers: tuple[str, ...] = ("p225", "p226", "p315", "s5"), sentences: int = 6
) -> dict[str, str]:
    """VCTK 0.92: the first two sentences of all speakers are the same; p315 has no texts; p226_003 has no mic2."""
    texts = {}
    for number, speaker in enumerate(speakers):
        for sentence in range(1, sentences + 1):
            name = f"{speaker}_{sentence:03d}"
            text = "Please call Stella." if sentence < 3 else f"Sentence {sentence} of {speaker}."
            for microphone in (1, 2):
                path = Path(folder, "wav48_silence_trimmed", speaker, f"{name}_mic{microphone}.flac")
                if (name, microphone) != ("p226_003", 2):
                    write_audio(path, 100 * number + 10 * sentence + microphone, 48000)
            if speaker != "p315":
                Path(folder, "txt", speaker).mkdir(parents=True, exist_ok=True)
                Path(folder, "txt", speaker, f"{name}.txt").write_text(f"{text}\n", encoding="utf-8")
                texts[name] = text
    rows = [
        "ID  AGE  GENDER  ACCENTS  REGION COMMENTS",
        "p225  23  F    English    Southern  England",
        "p226  22  M    English",
    ]
    Path(folder, "speaker-info.txt").write_text("\n".join([*rows, "s5  33  F  British", ""]), encoding="utf-8")
    return texts


def write_libritts(folder: Path, parts: tuple[str, ...], clips: int = 2) -> dict[str, str]:
    """LibriTTS: two clips of one speaker in each of ``parts``, with what a Mac left behind beside them."""
    texts = {}
    for number, part in enumerate(parts):
        speaker, chapter = str(84 + number), str(121123 + number)
        for clip in range(clips):
            name = f"{speaker}_{chapter}_000007_{clip:06d}"
            path = Path(folder, "LibriTTS", part, speaker, chapter, f"{name}.wav")
            write_audio(path, 10 * number + clip, 24000)
            texts[name] = f"Chapter {'one' if clip else 'two'}, of {part}."
            path.with_suffix(".normalized.txt").write_text(texts[name], encoding="utf-8")
            path.with_suffix(".original.txt").write_text(texts[name].replace("one", "1"), encoding="utf-8")
        path.with_name(f"._{name}.normalized.txt").write_bytes(b"\x00\xff")
    rows = [f"{84 + number}   | {'FM'[number % 2]} | {part}  | 25.03 | Reader" for number, part in enumerate(parts)]
    Path(folder, "LibriTTS", "SPEAKERS.txt").write_text("\n".join([";ID |SEX| SUBSET", *rows, ""]), encoding="utf-8")
    return texts


BAKER = {  # the first sentences of the corpus, and one with erhua
    "卡尔普#2陪外孙#1玩滑梯#4。": "ka2 er2 pu3 pei2 wai4 sun1 wan2 hua2 ti1",
    "假语村言#2别再#1拥抱我#4。": "jia2 yu3 cun1 yan2 bie2 zai4 yong1 bao4 wo3",
    "宝马#1配挂#1跛骡鞍#3，貂蝉。": "bao2 ma3 pei4 gua4 bo3 luo2 an1 diao1 chan2",
    "花儿#2开了#4。": "huar1 kai1 le5",
}


def write_baker(folder: Path) -> dict[str, str]:
    """BZNSYP: four sentences."""
    root = Path(folder) / "BZNSYP"
    lines, texts = [], {}
    for number, (text, pinyin) in enumerate(BAKER.items(), start=1):
        name = f"{number:06d}"
        write_audio(root / "Wave" / f"{name}.wav", number, 48000)
        lines += [f"{name}\t{text}\n", f"\t{pinyin}\n"]
        texts[name] = "".join(char for char in text if char not in "#1234")
    (root / "ProsodyLabeling").mkdir()
    (root / "ProsodyLabeling/000001-010000.txt").write_text("".join(lines), encoding="utf-8")
    return texts
