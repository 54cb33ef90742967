"""Choose options of a search on a development set: every combination of the given values, one pass of the encoder."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from speechkit import config as configs
from speechkit.decode.base import Search
from speechkit.metrics.error_rate import score
from speechkit.tasks.asr import AsrTask
from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import check_sets, decoding_config, encoded, set_name
from speechkit.tasks.recognizer import Recognizer
from speechkit.utils import machine
from speechkit.utils.files import atomic_write
from speechkit.utils.utterances import named


@dataclass(frozen=True)
class Trial:
    """One combination of values."""

    overrides: tuple[str, ...]
    """As ``speechkit decode`` takes them."""
    wer: float
    """Word error rate on the development set, a fraction."""
    errors: int


def parse_grid(arguments: Sequence[str]) -> dict[str, list[str]]:
    """``["search.length_bonus=0,0.5,1"]`` as the values to try for each key.

    Raises:
        ConfigError: An argument is not of this form, is not about the search, or a key has one value only.
    """
    grid: dict[str, list[str]] = {}
    for argument in arguments:
        key, equals, values = argument.partition("=")
        tried = [value.strip() for value in values.split(",") if value.strip()]
        if not equals or not key.startswith("search.") or len(tried) < 2:
            raise configs.ConfigError(f"--tune {argument}: expected search.some.key=VALUE,VALUE,... with two values or more")
        grid[key] = tried
    return grid


def tune(
    exp_dir: Path,
    grid: Mapping[str, Sequence[str]],
    sets: Sequence[str] = (),
    overrides: Sequence[str] = (),
    device: str = "auto",
) -> list[Trial]:
    """Decode development sets with every combination and keep what it gave in ``tuning.json``.

    Args:
        exp_dir: The experiment.
        grid: For each key of the search its values.
        sets: Names of splits or paths of manifests; the config's ``data.valid`` unless given.
        overrides: Other changes to ``search.*`` and ``data.*``.
        device: ``cpu``, ``cuda`` or ``auto``.

    Returns:
        The trials, best first; of equal ones that which comes first in the grid.

    Raises:
        ValueError: A combination is no valid search; the message names its key.
    """
    config = decoding_config(exp_dir, overrides)
    names = sets or config.data.valid
    check_sets(names, config)
    points = [tuple(f"{key}={value}" for key, value in zip(grid, values)) for values in itertools.product(*grid.values())]
    searches = [load_config(exp_dir / "config.yaml", [*overrides, *point]).search for point in points]
    recognizer = Recognizer.load(exp_dir, device=device, search=searches[0])
    texts = _texts(names, config, recognizer, [recognizer.build_search(each) for each in searches])
    rates = [score(pairs, "word").total for pairs in texts]
    trials = [Trial(point, rate.rate, rate.errors) for point, rate in zip(points, rates)]
    trials.sort(key=lambda trial: trial.errors)
    _save(trials, names, exp_dir)
    return trials


@torch.inference_mode()
def _texts(
    names: Sequence[str], config: AsrTask.Config, recognizer: Recognizer, searches: Sequence[Search]
) -> list[list[tuple[str, str, str]]]:
    """For each search (id, reference, hypothesis) of every utterance."""
    found: list[list[tuple[str, str, str]]] = [[] for _ in searches]
    for batch, encoder_out, lens in encoded(names, config, recognizer):
        for pairs, search in zip(found, searches):
            with named(batch.ids):
                nbest = search.decode(recognizer.model.decoders, encoder_out, lens)
            rows = zip(batch.ids, batch.texts, nbest)
            pairs += [(i, recognizer.normalizer(ref), recognizer.text(hypotheses[0])) for i, ref, hypotheses in rows]
    return found


def _save(trials: Sequence[Trial], names: Sequence[str], exp_dir: Path) -> None:
    facts: dict[str, Any] = {"sets": [set_name(name) for name in names], "date": machine.today()}
    facts |= {"machine": machine.describe(), "command": machine.command()}
    facts["trials"] = [{"overrides": trial.overrides, "wer": trial.wer, "errors": trial.errors} for trial in trials]
    with atomic_write(exp_dir / "tuning.json") as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
