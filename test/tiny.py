"""A corpus of two words that are two tones, and a recogniser of them that trains in seconds: for tests of whole paths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment

from speechkit.data.cuts import write_cuts

RATE = 8000
TONES = {"low": 400.0, "high": 1600.0}
WORD, GAP = 0.2, 0.15  # seconds

CONFIG = """
task: asr
seed: 3
featurizer: {name: fbank, sampling_rate: 8000, num_mel_bins: 23, high_freq: 0}
tokenizer: word
spec_augment: null
encoder: {name: conformer, dim: 16, num_layers: 1, num_heads: 2, ff_dim: 32, kernel_size: 7, dropout: 0.0}
data: {root: DATA, cache_audio: true, sampler: {batch_duration: 20}}
train: {max_epochs: 20, optimizer: {lr: 0.02}, validate_every: 10, average: 2, average_by: last}
"""


def waveform(words: list[str], random: np.random.Generator) -> np.ndarray:
    """Tones with gaps, faint noise all over."""
    time = np.arange(int(WORD * RATE)) / RATE
    gap = np.zeros(int(GAP * RATE))
    parts = [gap]
    for word in words:
        parts += [0.3 * np.sin(2 * np.pi * TONES[word] * time), gap]
    wav = np.concatenate(parts)
    return (wav + random.normal(0, 1e-3, len(wav))).astype(np.float32)


def write_split(folder: Path, split: str, count: int, seed: int) -> CutSet:
    """``count`` wavs of 1 to 4 words, and ``<split>.jsonl.gz``."""
    random, cuts = np.random.default_rng(seed), []
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    for i in range(count):
        words = [str(w) for w in random.choice(list(TONES), size=random.integers(1, 5))]
        path = folder / "wavs" / f"{split}-{i}.wav"
        soundfile.write(path, waveform(words, random), RATE)
        recording = Recording.from_file(path)
        supervision = SupervisionSegment(path.stem, path.stem, 0.0, recording.duration, text=" ".join(words), speaker="s")
        cuts.append(MonoCut(path.stem, 0.0, recording.duration, 0, [supervision], recording=recording))
    cut_set = CutSet.from_cuts(cuts)
    write_cuts(cut_set, folder / f"{split}.jsonl.gz")
    return cut_set


def write_corpus(folder: Path) -> Path:
    """Manifests of train, dev and test in ``folder/data``, and ``folder/conf.yaml``. Returns the config's path."""
    for split, count, seed in (("train", 30, 1), ("dev", 5, 2), ("test", 7, 3)):
        write_split(folder / "data", split, count, seed)
    conf = folder / "conf.yaml"
    conf.write_text(CONFIG.replace("DATA", str(folder / "data")))
    return conf
