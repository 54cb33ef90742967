"""Where an experiment's data lies: manifests and tokenizers under ``data/``, named after what made them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Literal

from lhotse import CutSet

from speechkit.config import ComponentConfig, Config
from speechkit.data.augment import AugmentConfig
from speechkit.data.cuts import checked_cuts, open_cuts, transcript
from speechkit.data.sampler import BucketSampler, SamplerConfig
from speechkit.utils.files import sha256


class DataConfig(Config):
    """Which cuts are used for what, and how they become batches."""

    root: str = "data"
    """Folder of manifests; each choice of a corpus has its own folder in it. Relative to the recipe's folder."""
    train: list[str] = ["train"]
    """Manifests to train on: names of splits (`train`), or paths that end in .jsonl.gz."""
    valid: list[str] = ["dev"]
    """Manifests to validate on during training."""
    test: list[str] = ["test"]
    """Manifests that `speechkit decode` decodes, and `speechkit synthesize` speaks."""
    features: Literal["on_the_fly", "precomputed"] = "on_the_fly"
    """Compute features in each step, or read those that `speechkit features` stored."""
    sampler: SamplerConfig = SamplerConfig()
    """How utterances are grouped into batches; its duration limits are for training only."""
    num_workers: int = 0
    """Processes that read audio; 0 reads in the training process."""
    cache_audio: bool = False
    """Keep decoded audio in memory: for corpora that fit."""
    augment: AugmentConfig = AugmentConfig()
    """Changes made to training audio."""


def folder_name(corpus: ComponentConfig | None) -> str:
    """A readable name for one choice of a corpus: what it is called, and its options that differ from the defaults."""
    if corpus is None:
        return "."
    chosen = corpus.model_dump(mode="json", exclude_defaults=True)
    parts = [f"{key}-{value if isinstance(value, str) else json.dumps(value)}" for key, value in chosen.items() if key != "name"]
    return "_".join([corpus.name, *parts]).replace("/", "-")


def manifest_dir(config: Any) -> Path:
    """The folder in which ``speechkit prepare`` leaves the manifests of this experiment's corpus."""
    return Path(config.data.root) / folder_name(config.corpus)


def manifest_path(name: str, config: Any) -> Path:
    """The manifest of a split name, or the path itself if it is one."""
    return Path(name) if name.endswith((".jsonl", ".jsonl.gz")) else manifest_dir(config) / f"{name}.jsonl.gz"


def feature_dir(config: Any) -> Path:
    """The folder of stored features, named after the featurizer's options, so that those of others are never read."""
    described = json.dumps(config.featurizer.model_dump(mode="json"), sort_keys=True)
    return manifest_dir(config) / f"features-{hashlib.sha256(described.encode()).hexdigest()[:8]}"


def stored_path(name: str, config: Any) -> Path:
    """The manifest with the stored features of a split, named after the content of the split's own manifest.

    Features of an older version, or of a manifest of the same name in another folder, are thus never read.
    """
    stem = manifest_path(name, config).name.partition(".jsonl")[0]
    return feature_dir(config) / f"{stem}-{_manifest_sum(name, config)[:8]}.jsonl.gz"


def _manifest_sum(name: str, config: Any) -> str:
    path = manifest_path(name, config)
    open_cuts(path)  # reads nothing yet, but says what to do if there is none
    return sha256(path)


def split_paths(names: Sequence[str], config: Any) -> list[Path]:
    """The manifests of some splits: those with stored features if the config wants them."""
    if config.data.features != "precomputed":
        return [manifest_path(name, config) for name in names]
    paths = [stored_path(name, config) for name in names]
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path}: no stored features; run `speechkit features` with this config first")
    return paths


def open_splits(names: Sequence[str], config: Any) -> CutSet:
    """The cuts of several splits, lazily, one after the other."""
    return reduce(add, map(open_cuts, split_paths(names, config)))


def manifest_facts(config: Any) -> dict[str, Any]:
    """Read all manifests, checking every line: a fingerprint of each one to train on, and their longest duration.

    A fingerprint is of ids, durations and transcripts (the recordings may have moved). The recogniser cuts long recordings
    by the longest duration.
    """
    names = dict.fromkeys(config.data.train)
    seen = {name: _longest_and_fingerprint(path) for name, path in zip(names, split_paths(names, config))}
    for path in split_paths([name for name in config.data.valid if name not in seen], config):
        _longest_and_fingerprint(path)
    return {
        "longest_seconds": max(longest for longest, _ in seen.values()),
        "fingerprints": {name: fingerprint for name, (_, fingerprint) in seen.items()},
    }


def _longest_and_fingerprint(manifest: Path) -> tuple[float, str]:
    longest, digest = 0.0, hashlib.sha256()
    for cut in checked_cuts(manifest):
        longest = max(longest, cut.duration)
        digest.update(f"{cut.id}\t{cut.duration}\t{transcript(cut)}\n".encode())
    return longest, digest.hexdigest()


def tokenizer_dir(config: Any) -> Path:
    """The folder of a tokenizer, keyed by everything that its fit depends on, so that a stale one is never used."""
    options = [config.tokenizer.model_dump(mode="json"), config.normalizer.model_dump(mode="json")]
    sums = [_manifest_sum(name, config) for name in config.data.train]
    # A missing file is left to the tokenizer, which knows what the file is for.
    sums += [sha256(path) for path in config.tokenizer.input_files if path.is_file()]
    key = hashlib.sha256(json.dumps([options, sums], sort_keys=True).encode()).hexdigest()[:8]
    return manifest_dir(config) / "tokenizers" / f"{config.tokenizer.name}-{key}"


def transcripts(cuts: Iterable) -> Iterator[str]:
    """The text of every cut; one without is an error that names it."""
    return map(transcript, cuts)


def evaluation_sampler(config: SamplerConfig, cuts: Iterable) -> BucketSampler:
    """Batches of every cut in a fixed order: no duration filter, and room for the longest."""
    longest = max((cut.duration for cut in cuts), default=0.0)
    room = max(config.batch_duration, longest)
    return BucketSampler(cuts, config.model_copy(update={"min_duration": 0.0, "max_duration": None, "batch_duration": room}))


def training_sample(cuts: Iterable, config: SamplerConfig, most: int) -> list:
    """``most`` or fewer, but more than half as many, of the cuts that training uses, evenly spaced over all of them.

    The cuts are walked through once, and never more than the sample is held.
    """
    low, high = config.min_duration, math.inf if config.max_duration is None else config.max_duration
    sample, step = [], 1
    for index, cut in enumerate(cut for cut in cuts if low <= cut.duration <= high):
        if index % step == 0:
            sample.append(cut)
        if len(sample) > most:  # there are too many: every second one will do
            sample, step = sample[::2], 2 * step
    return sample
