"""Transducers as arrays, files and objects of OpenFst."""

from __future__ import annotations

import sys

import kaldifst
import numpy as np
import pytest

from speechkit.graphs.wfst import Wfst, openfst

ARCS = [(0, 2, 3, 4, 0.5), (0, 1, 0, 2, 0.25), (1, 2, 1, 0, 1.5), (2, 0, 1, 1, 0.0), (2, 2, 0, 1, 2.0)]


def fst() -> Wfst:
    return Wfst.from_arcs(ARCS, {1: 0.75, 2: 0.0})


def same(one: Wfst, other: Wfst) -> bool:
    return all(np.array_equal(value, getattr(other, name)) for name, value in vars(one).items())


def test_arcs_are_sorted_by_state_and_input_label() -> None:
    made = fst()
    assert made.offsets.tolist() == [0, 2, 3, 5] and made.sources.tolist() == [0, 0, 1, 2, 2]
    assert made.ilabels.tolist() == [0, 3, 1, 0, 1] and made.olabels.tolist() == [2, 4, 0, 1, 1]
    assert made.next_states.tolist() == [1, 2, 2, 2, 0] and made.final.tolist() == [np.inf, 0.75, 0.0]


def test_openfst_reads_what_is_written_and_the_other_way_round(tmp_path) -> None:
    fst().write(tmp_path / "a.fst")
    text = kaldifst.StdVectorFst(kaldifst.StdFst.read(str(tmp_path / "a.fst"))).to_str(show_weight_one=True)
    rows = [line.split() for line in text.splitlines()]
    assert rows[:2] == [["0", "1", "0", "2", "0.25"], ["0", "2", "3", "4", "0.5"]] and ["1", "0.75"] in rows
    compiled = kaldifst.compile("0 1 0 2 .25\n0 2 3 4 .5\n1 2 1 0 1.5\n2 2 0 1 2\n2 0 1 1\n1 .75\n2 0\n")
    kaldifst.StdConstFst(compiled).write(str(tmp_path / "b.fst"))
    assert same(Wfst.read(tmp_path / "a.fst"), fst()) and same(Wfst.read(tmp_path / "b.fst"), fst())
    assert same(Wfst.from_openfst(fst().to_openfst()), fst())


def test_a_start_that_is_not_state_0_becomes_it() -> None:
    text = "1 2 3 4 .5\n1 0 0 2 .25\n0 2 1 0 1.5\n2 2 0 1 2\n2 1 1 1\n0 .75\n2 0\n"
    turned = kaldifst.compile(text, keep_state_numbering=True)
    assert turned.start == 1
    assert same(Wfst.from_openfst(turned), fst())


def test_symbols_of_disambiguation_become_epsilons() -> None:
    plain = fst().without_labels_above(1)
    assert plain.ilabels.tolist() == [0, 0, 1, 0, 1] and plain.num_arcs == 5


def test_files_that_are_not_such_transducers_are_named(tmp_path) -> None:
    path = tmp_path / "a.fst"
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="a.fst: expected a transducer .*, got another file"):
        Wfst.read(path)
    fst().write(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="a.fst: .* got one that is cut off after"):
        Wfst.read(path)
    fst().to_openfst().write(str(path))
    with pytest.raises(ValueError, match=r"got \[b'vector', b'standard'\]; convert it"):
        Wfst.read(path)


def test_without_kaldifst_the_error_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "kaldifst", None)
    with pytest.raises(ValueError, match=r"expected the package kaldifst, .*pip install 'speechkit\[graph\]'"):
        openfst()
