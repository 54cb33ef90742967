"""Sentences of a small grammar, and the config of a language model that learns it in seconds."""

from __future__ import annotations

import random
from pathlib import Path

CONFIG = """
task: lm
tokenizer: word
lm: {name: lstm, dim: 24, num_layers: 1, dropout: 0.0}
data: {root: FOLDER, train: [FOLDER/train.txt], valid: [FOLDER/dev.txt], test: [FOLDER/test.txt], sampler: {batch_tokens: 200}}
train: {max_epochs: 4, optimizer: {lr: 0.02}, average: 2, average_by: perplexity, num_threads: 1}
"""


def sentence(draw: random.Random) -> str:
    """``the (big|red)? (cat|dog) (sees (the ...) | sleeps)``: 0 to 3 adjectives, then as the grammar says."""
    words = ["the", *draw.choices(["big", "red"], k=draw.randrange(4)), draw.choice(["cat", "dog"])]
    return " ".join([*words, "sees", sentence(draw)] if draw.random() < 0.4 else [*words, "sleeps"])


def write_texts(folder: Path) -> Path:
    """train.txt, dev.txt, test.txt and lm.yaml. Returns the config's path."""
    draw = random.Random(1)
    for name, count in (("train", 300), ("dev", 40), ("test", 60)):
        (folder / f"{name}.txt").write_text("".join(f"{sentence(draw)}\n" for _ in range(count)))
    conf = folder / "lm.yaml"
    conf.write_text(CONFIG.replace("FOLDER", str(folder)))
    return conf
