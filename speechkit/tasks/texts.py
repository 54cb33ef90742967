"""The texts of a language model's experiment: where they lie, what they hold, and their tokens, kept under ``data/``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechkit.config import Config
from speechkit.data.text import MANIFESTS, TEXTS, TokenizedText, read_sentences, write_tokens
from speechkit.data.text_batches import TextSamplerConfig
from speechkit.tasks.manifests import manifest_dir, manifest_path
from speechkit.text.tokenizer import Tokenizer
from speechkit.utils import log
from speechkit.utils.files import sha256

FITTED = "checksums.json"  # of a tokenizer's folder: its content says what was fitted


class TextDataConfig(Config):
    """Which texts are used for what, and how they become batches."""

    root: str = "data"
    """Folder of manifests; each choice of a corpus has its own folder in it. Relative to the recipe's folder."""
    train: list[str] = ["train"]
    """Texts to train on: names of splits (`train`), paths of manifests (.jsonl, .jsonl.gz), whose transcripts are taken, or
    paths of texts with one sentence per line (.txt, .gz)."""
    valid: list[str] = ["dev"]
    """Texts to validate on during training."""
    test: list[str] = ["test"]
    """Texts that `speechkit score` gives the perplexity of."""
    skip_unknown: bool = False
    """Leave out, and count, sentences with symbols that the tokenizer does not have, instead of stopping at the first."""
    sampler: TextSamplerConfig = TextSamplerConfig()
    """How sentences are grouped into batches; its max_tokens is for training only."""


def text_path(name: str, config: Any) -> Path:
    """The file of a text: a path as it is, or the manifest of a split."""
    return Path(name) if name.endswith((*MANIFESTS, *TEXTS)) else manifest_path(name, config)


def text_facts(config: Any) -> dict[str, Any]:
    """Read all texts: a fingerprint of the sentences of each one to train on.

    Raises:
        ValueError: A file is missing, damaged or empty.
    """
    sums = {name: _fingerprint(text_path(name, config)) for name in dict.fromkeys([*config.data.train, *config.data.valid])}
    return {"fingerprints": {name: sums[name] for name in config.data.train}}


def _fingerprint(path: Path) -> str:
    digest, empty = hashlib.sha256(), True
    for _, sentence in read_sentences(path):
        digest.update(f"{sentence}\n".encode())
        empty = False
    if empty:
        raise ValueError(f"{path}: expected sentences, got an empty text; take another, or make it again")
    return digest.hexdigest()


def tokenized(name: str, config: Any, tokenizer_dir: Path) -> TokenizedText:
    """The tokens of a text, made unless they are there already: for the same file, tokenizer and normalizer.

    Args:
        name: As in ``config.data``.
        config: Of the experiment.
        tokenizer_dir: Where the fitted tokenizer is saved.

    Raises:
        ValueError: A sentence cannot be encoded (the message names its line), or none has any tokens.
    """
    path = text_path(name, config)
    options = [config.normalizer.model_dump(mode="json"), config.data.skip_unknown]
    for _ in read_sentences(path):  # says what to do if there is no such file
        break
    key = json.dumps([options, sha256(path), sha256(tokenizer_dir / FITTED)], sort_keys=True)
    called = path.name.removesuffix(".gz").rpartition(".")[0]
    folder = manifest_dir(config) / "texts" / f"{called}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    if not TokenizedText.is_in(folder):
        _tokenize(path, folder, config, Tokenizer.load(tokenizer_dir))
    return TokenizedText(folder, name)


def _tokenize(path: Path, folder: Path, config: Any, tokenizer: Tokenizer) -> None:
    kept, left_out = write_tokens(_encoded(path, config, tokenizer), folder)
    why = "empty after normalization" + " or with unknown symbols" * config.data.skip_unknown
    if not kept:
        raise ValueError(f"{path}: all of its {left_out} sentences are {why}; look at the normalizer and the tokenizer")
    if left_out:
        log.warn(f"{path}: {left_out} of {kept + left_out} sentences are left out: {why}")


def _encoded(path: Path, config: Any, tokenizer: Tokenizer) -> Iterator[tuple[int, list[int]]]:
    normalizer = config.normalizer.build()
    for number, sentence in read_sentences(path):
        try:
            yield number, tokenizer.encode(normalizer(sentence))
        except ValueError as error:
            if not config.data.skip_unknown:
                raise ValueError(f"{path}:{number}: {error}; data.skip_unknown=true leaves such sentences out") from error
            yield number, []
