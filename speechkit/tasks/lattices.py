"""The lattices of decoded sets as files, to look into or to rescore."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import torch

from speechkit.decode.wfst import WfstSearch
from speechkit.tasks.evaluate import check_sets, decoding_config, encoded, set_name
from speechkit.tasks.recognizer import Recognizer
from speechkit.utils.utterances import named


def write_lattices(
    exp_dir: Path, sets: Sequence[str] = (), overrides: Sequence[str] = (), device: str = "auto"
) -> dict[Path, int]:
    """Search sets and keep the lattices: ``decode/<set>/lattices/<cut>.npz``, which :meth:`Lattice.read` reads.

    Args:
        exp_dir: The experiment.
        sets: Names of splits or paths of manifests; the config's ``data.test`` unless given.
        overrides: ``search.*=...`` and ``data.*=...`` keys to change.
        device: ``cpu``, ``cuda`` or ``auto``.

    Returns:
        The folders, each with the number of its files.

    Raises:
        ValueError: The search makes no lattices.
    """
    config = decoding_config(exp_dir, overrides)
    names = sets or config.data.test
    check_sets(names, config)
    recognizer = Recognizer.load(exp_dir, device=device, search=config.search)
    if not isinstance(recognizer.search, WfstSearch):
        raise ValueError(f"search: expected wfst, which makes lattices, got {config.search.name}; give search=wfst and its graph")
    return {exp_dir / "decode" / set_name(name) / "lattices": _write_set(exp_dir, name, config, recognizer) for name in names}


@torch.inference_mode()
def _write_set(exp_dir: Path, name: str, config, recognizer: Recognizer) -> int:
    folder, count = exp_dir / "decode" / set_name(name) / "lattices", 0
    for batch, encoder_out, lens in encoded([name], config, recognizer):
        with named(batch.ids):
            lattices = recognizer.search.lattices(recognizer.model.decoders, encoder_out, lens)
        for cut, lattice in zip(batch.ids, lattices, strict=True):
            lattice.write(folder / f"{quote(cut, safe=' ')}.npz")  # an id may hold what a file name must not
        count += len(lattices)
    return count
