"""Lattices as files of an experiment."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from speechkit.decode.lattice import Lattice, Weights
from speechkit.tasks.evaluate import decode
from speechkit.tasks.lattices import write_lattices


def test_every_cut_gets_a_lattice_that_holds_what_the_search_finds(trained, tmp_path) -> None:
    exp = shutil.copytree(trained, tmp_path / "exp")
    (folder, count), *rest = write_lattices(exp, ["dev"], ["search=wfst", "search.graph=tokens"], "cpu").items()
    assert count == 5 and not rest and folder == exp / "decode/dev/lattices"
    files = sorted(folder.glob("*.npz"))
    assert [file.stem for file in files] == [f"dev-{number}" for number in range(5)]
    lattice = Lattice.read(files[0])
    (best,) = lattice.nbest(1, Weights())
    (decoded,) = decode(exp, ["dev"], ["search=ctc_greedy"], "cpu")
    greedy = next(line for line in (decoded / "hyps.jsonl").read_text().splitlines() if '"dev-0"' in line)
    assert f'"score": {round(best.score, 4)}' in greedy
    assert np.isfinite(lattice.acoustic).all() and (lattice.sources < lattice.targets).all()


def test_a_search_without_lattices_is_refused(trained) -> None:
    with pytest.raises(ValueError, match="search: expected wfst, which makes lattices, got ctc_greedy"):
        write_lattices(trained, ["dev"], ["search=ctc_greedy"], "cpu")
