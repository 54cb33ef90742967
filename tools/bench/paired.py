"""Steps of two libraries in turn: timed, repeated where the machine was not quiet, and compared pair by pair."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from worker import Worker


def run_pairs(case: str, ours: Worker, peers: Mapping[str, tuple[Worker, str]], steps: int, threads: int) -> dict[str, Any]:
    """Medians over paired steps of one case, and of the ratios within pairs.

    Args:
        case: What our worker is asked.
        ours: Our worker.
        peers: By name, a worker and what it is asked.
        steps: Pairs to measure; those during which other processes took the processors are repeated, up to twice as many.
        threads: Of each worker.
    """

    def pair() -> dict[str, dict]:
        return {"ours": ours.ask(case)} | {name: worker.ask(other) for name, (worker, other) in peers.items()}

    pair()  # warms the case up
    rows = [pair() for _ in range(steps)]
    for _ in range(2 * steps):
        quiet = [row for row in rows if is_quiet(row, threads)]
        if len(quiet) >= steps:
            break
        rows.append(pair())
    disturbed = len(rows) - len(quiet)
    rows = quiet or rows
    return {
        "seconds": {name: statistics.median(row[name]["seconds"] for row in rows) for name in rows[0]},
        "cpu_seconds": {name: statistics.median(row[name]["cpu_seconds"] for row in rows) for name in rows[0]},
        "speedup": {
            name: statistics.median(row[name]["seconds"] / row["ours"]["seconds"] for row in rows) for name in peers
        },
        "loss": {name: rows[-1][name]["loss"] for name in rows[0]},
        "pairs": len(rows),
        "disturbed_pairs": disturbed,
        "all_disturbed": not quiet,
    }


def is_quiet(row: dict[str, dict], threads: int) -> bool:
    """Whether other processes left ``threads`` processors alone during all steps of a pair."""
    spare = (os.cpu_count() or threads) - threads
    return all(step["foreign_cores"] <= spare + 0.15 for step in row.values())


def pair_facts(row: dict[str, Any]) -> str:
    """How many pairs there were, and whether to believe them."""
    disturbed = f", {row['disturbed_pairs']} more disturbed" if row["disturbed_pairs"] else ""
    doubt = ": the machine was never quiet, read the ratios with care" if row["all_disturbed"] else ""
    return f"{row['pairs']} pairs{disturbed}{doubt}"


def timed(step: Callable[[], float]) -> dict[str, float]:
    """Wall-clock and CPU seconds of one step, and the processors that others used meanwhile."""
    before, busy_before, start = own_seconds(), busy_seconds(), time.perf_counter()
    loss = step()
    seconds, own, busy = time.perf_counter() - start, own_seconds() - before, busy_seconds() - busy_before
    return {"seconds": seconds, "cpu_seconds": own, "foreign_cores": max(busy - own, 0) / seconds, "loss": loss}


def own_seconds() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def busy_seconds() -> float:
    """CPU seconds of the whole machine so far; 0 where the kernel does not tell."""
    try:
        user, nice, system, _, _, irq, soft_irq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    except OSError:
        return 0.0
    return (user + nice + system + irq + soft_irq + steal) / os.sysconf("SC_CLK_TCK")


def matmul_peak(precision: str, size: int = 2048) -> float:
    """GFLOP/s of a square matrix product: the best of several."""
    import torch

    a = torch.randn(size, size, dtype=getattr(torch, precision))
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
