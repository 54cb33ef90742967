"""Padding of our sampler and of Lhotse's DynamicBucketingSampler (30 buckets), side by side on the same utterances.

    python tools/bench/padding.py <manifest.jsonl.gz | folder of audio> [--batch-duration 100 200] [--world-size 1]

Padding is the share of all batches' area (longest utterance times number of utterances) that holds no audio. "waiting"
is the share of a step's area that a rank idles because another one has a larger batch. No audio is decoded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile
from lhotse import CutSet
from lhotse.cut import MonoCut
from lhotse.dataset import DynamicBucketingSampler
from lhotse.testing.dummies import dummy_recording
from rich.console import Console
from rich.table import Table

from speechkit.data.audio import AUDIO_SUFFIXES
from speechkit.data.cuts import open_cuts
from speechkit.data.sampler import BucketSampler, SamplerConfig

Batches = Iterable[Iterable[MonoCut]]


def read_cuts(path: Path) -> CutSet:
    """The cuts of a manifest, or one stand-in for every audio file of a folder, with its true duration."""
    if path.is_file():
        return open_cuts(path).to_eager()
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise SystemExit(f"{path}: expected a manifest or a folder of audio, got neither")
    durations = [soundfile.info(file).duration for file in files]
    return CutSet.from_cuts(
        MonoCut(f"{i}-{file.stem}", 0.0, duration, channel=0, recording=dummy_recording(i, duration))
        for i, (file, duration) in enumerate(zip(files, durations))
    )


def ours(cuts: CutSet, budget: float, rank: int, world_size: int) -> Batches:
    """Batches of :class:`BucketSampler` with the default settings."""
    return BucketSampler(cuts, SamplerConfig(batch_duration=budget), shuffle=True, rank=rank, world_size=world_size)


def lhotse(cuts: CutSet, budget: float, rank: int, world_size: int) -> Batches:
    """Batches of Lhotse's sampler; the buffer holds the corpus, as our window does."""
    return DynamicBucketingSampler(
        cuts, max_duration=budget, num_buckets=30, shuffle=True, buffer_size=20000, rank=rank, world_size=world_size
    )


def measure(sampler: Callable[..., Batches], cuts: CutSet, budget: float, world_size: int) -> list[str]:
    """Number of batches, utterances, padding, waiting and seconds of planning, as cells of the table."""
    began = time.perf_counter()
    ranks = [[list(batch) for batch in sampler(cuts, budget, rank, world_size)] for rank in range(world_size)]
    seconds = time.perf_counter() - began
    areas = np.array([[len(batch) * max(cut.duration for cut in batch) for batch in batches] for batches in ranks])
    drawn = [cut.duration for batches in ranks for batch in batches for cut in batch]
    padding, waiting = 1 - sum(drawn) / areas.sum(), 1 - areas.mean() / areas.max(axis=0).mean()
    sizes = [len(batch) for batches in ranks for batch in batches]
    cells = [
        len(ranks[0]),
        f"{min(sizes)} to {max(sizes)}",
        len(drawn),
        f"{padding:.2%}",
        f"{waiting:.2%}",
        f"{seconds:.2f}",
    ]
    return [str(cell) for cell in cells]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="manifest, or folder of audio")
    parser.add_argument(
        "--batch-duration", type=float, nargs="+", default=[100.0, 200.0], help="budgets, padded seconds"
    )
    parser.add_argument("--world-size", type=int, default=1, help="number of ranks")
    arguments = parser.parse_args()
    cuts = read_cuts(arguments.data)
    hours = sum(cut.duration for cut in cuts) / 3600
    table = Table(title=f"{arguments.data}: {len(cuts)} utterances, {hours:.2f} h, {arguments.world_size} ranks")
    for header in ("budget", "sampler", "steps", "sizes", "utterances", "padding", "waiting", "planning s"):
        table.add_column(header, justify="left" if header == "sampler" else "right")
    for budget in arguments.batch_duration:
        for name, sampler in (("speechkit", ours), ("lhotse", lhotse)):
            table.add_row(f"{budget:g} s", name, *measure(sampler, cuts, budget, arguments.world_size))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
