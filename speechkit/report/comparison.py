"""Several experiments side by side: what each costs and what it gets wrong, as Markdown for a recipe's README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speechkit.report.numbers import percent
from speechkit.report.results import DecodedSet, read_sets
from speechkit.report.table import interval, real_time_factor
from speechkit.report.train_log import TrainLog, read_train_log
from speechkit.report.voice_table import voices_markdown
from speechkit.report.voices import read_voices

COLUMNS = ("experiment", "set", "WER %", "95 % interval", "errors", "words", "parameters", "s per epoch", "epochs")
COLUMNS += ("peak memory GiB", "search", "RTF")


def comparison(exp_dirs: Sequence[Path]) -> str:
    """A row for each decoded set of each experiment, in the order given; below, the machine that made them. Voices have a
    table of their own, a row for each kind of speech of each set that they have spoken.

    Seconds per epoch are those of the training steps, data included and validation not; memory is the most that the
    training process held.

    Raises:
        ValueError: An experiment has not decoded or spoken anything yet.
    """
    voices = [exp_dir for exp_dir in exp_dirs if read_voices(exp_dir)]
    others = [exp_dir for exp_dir in exp_dirs if exp_dir not in voices or read_sets(exp_dir)]
    tables = ([_decoded(others)] if others else []) + ([voices_markdown(voices)] if voices else [])
    return "\n".join(tables)


def _decoded(exp_dirs: Sequence[Path]) -> str:
    rows, made = [], {}
    for exp_dir in exp_dirs:
        sets, log = read_sets(exp_dir), read_train_log(exp_dir / "train.jsonl")
        if not sets:
            raise ValueError(f"{exp_dir}/decode: expected decoded sets, found none; run `speechkit decode {exp_dir}` first")
        rows += [_cells(exp_dir.name, each, log) for each in sets]
        made |= dict.fromkeys(f"{each.facts['machine']}, {each.facts['date']}" for each in sets if each.facts)
    words = {"experiment", "set", "search"}
    lines = [COLUMNS, [":--" if name in words else "--:" for name in COLUMNS], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + "".join(f"\n{each}\n" for each in made)


def _cells(name: str, each: DecodedSet, log: TrainLog) -> list[str]:
    wer, steps = each.wer, log.steps
    started = next((event for event in log.events if "parameters" in event), {})
    epochs = int(np.nanmax(steps["epoch"])) + 1 if len(steps) else 0
    seconds = float(np.nansum(steps["seconds"]))
    memory = max((event["peak_memory"] for event in log.events if "peak_memory" in event), default=None)
    return [
        name, each.name, percent(wer.rate), interval(wer), str(wer.errors), str(wer.ref_len),
        f"{started['parameters'] / 1e6:.2f} M" if started else "–", f"{seconds / epochs:.1f}" if epochs else "–",
        str(epochs or "–"), f"{memory:.2f}" if memory else "–", each.search[0], real_time_factor(each),
    ]  # fmt: skip
