"""Weighted finite-state transducers as arrays, in files of OpenFst's format, and as objects of the package ``kaldifst``.

The arrays are what searches walk through and what the small transducers (lexicon, grammar, topology) are made as; the
objects are what OpenFst composes, determinises and minimises. Files are in OpenFst's format ``const`` with tropical
weights, which Kaldi's and sherpa's decoders read as well.
"""

from __future__ import annotations

import importlib
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from speechkit.utils.files import atomic_write

EPSILON = 0
"""The label that stands for no symbol."""

_MAGIC, _VERSION, _ALIGNED, _EXPANDED = 2125659606, 2, 4, 1
_NUMBERS = np.dtype(
    [("version", "<i4"), ("flags", "<i4"), ("properties", "<u8"), ("start", "<i8"), ("states", "<i8"), ("arcs", "<i8")]
)
_STATE = np.dtype([("final", "<f4"), ("first", "<u4"), ("arcs", "<u4"), ("ieps", "<u4"), ("oeps", "<u4")])
_ARC = np.dtype([("ilabel", "<i4"), ("olabel", "<i4"), ("cost", "<f4"), ("next", "<i4")])


def openfst() -> ModuleType:
    """The package ``kaldifst``, OpenFst as a wheel.

    Raises:
        ValueError: It is not installed.
    """
    try:
        return importlib.import_module("kaldifst")
    except ImportError as error:
        raise ValueError(
            f"decoding graphs: expected the package kaldifst, got {error}; run `pip install 'speechkit[graph]'`"
        ) from error


@dataclass(frozen=True)
class Wfst:
    """A transducer over costs (negative logarithms, nats), the tropical semiring. State 0 is the start.

    Args:
        offsets: (N + 1,) int64; the arcs of state s are those from ``offsets[s]`` to ``offsets[s + 1]``.
        ilabels: (M,) int32 input labels of the arcs; 0 for none.
        olabels: (M,) int32 output labels.
        costs: (M,) float32.
        next_states: (M,) int32.
        final: (N,) float32 costs of ending in a state; infinite where a path cannot end.
    """

    offsets: np.ndarray
    ilabels: np.ndarray
    olabels: np.ndarray
    costs: np.ndarray
    next_states: np.ndarray
    final: np.ndarray

    @property
    def num_states(self) -> int:
        """N."""
        return len(self.final)

    @property
    def num_arcs(self) -> int:
        """M."""
        return len(self.costs)

    @property
    def sources(self) -> np.ndarray:
        """(M,) the state that each arc leaves."""
        return np.repeat(np.arange(self.num_states), np.diff(self.offsets))

    @staticmethod
    def from_arcs(arcs: Any, final: Mapping[int, float]) -> Wfst:
        """Make a transducer of a list of its arcs.

        Args:
            arcs: Rows (source, next state, input label, output label, cost), in any order.
            final: Cost of ending in each state where a path can end.
        """
        table = np.asarray(arcs, dtype=np.float64).reshape(-1, 5)
        ends = table[:, :4].astype(np.int64)
        order = np.lexsort((ends[:, 3], ends[:, 2], ends[:, 0]))  # by source, then by input label
        ends, costs = ends[order], table[order, 4]
        num_states = 1 + max(ends[:, :2].max(initial=0), *final, 0)
        final_costs = np.full(num_states, np.inf, dtype=np.float32)
        final_costs[list(final)] = list(final.values())
        offsets = np.searchsorted(ends[:, 0], np.arange(num_states + 1))
        columns = (ends[:, i].astype(np.int32) for i in (2, 3))
        return Wfst(offsets, *columns, costs.astype(np.float32), ends[:, 1].astype(np.int32), final_costs)

    def without_labels_above(self, largest: int) -> Wfst:
        """The same with input labels above ``largest`` (the symbols of disambiguation) made epsilons."""
        kept = np.where(self.ilabels > largest, EPSILON, self.ilabels).astype(np.int32)
        order = np.lexsort((kept, self.sources))
        columns = {"ilabels": kept, "olabels": self.olabels, "costs": self.costs, "next_states": self.next_states}
        return replace(self, **{name: column[order] for name, column in columns.items()})

    # --- OpenFst --------------------------------------------------------------------------------------------------

    def write(self, path: Path | str) -> None:
        """Write a file of OpenFst's format ``const``, whole or not at all."""
        with atomic_write(path, "wb") as file:
            file.write(self._to_bytes())

    @staticmethod
    def read(path: Path | str) -> Wfst:
        """Read such a file.

        Raises:
            ValueError: It is none, or not whole.
        """
        return _parse(Path(path).read_bytes(), str(path))

    def to_openfst(self) -> Any:
        """A ``kaldifst.StdVectorFst``."""
        kaldifst = openfst()
        with tempfile.TemporaryDirectory() as folder:  # a file, because its bindings would take a call for each arc
            path = Path(folder, "fst")
            path.write_bytes(self._to_bytes())
            return kaldifst.StdVectorFst(kaldifst.StdFst.read(str(path)))

    @staticmethod
    def from_openfst(fst: Any) -> Wfst:
        """The arrays of a ``kaldifst.StdVectorFst``; the arcs of each state by input label."""
        kaldifst = openfst()
        kaldifst.arcsort(fst, "ilabel")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "fst")
            kaldifst.StdConstFst(fst).write(str(path))
            return Wfst.read(path)

    def _to_bytes(self) -> bytes:
        states, arcs = np.zeros(self.num_states, _STATE), np.empty(self.num_arcs, _ARC)
        states["final"], states["first"], states["arcs"] = self.final, self.offsets[:-1], np.diff(self.offsets)
        for field, labels in (("ieps", self.ilabels), ("oeps", self.olabels)):
            states[field] = np.bincount(self.sources[labels == EPSILON], minlength=self.num_states)
        arcs["ilabel"], arcs["olabel"], arcs["cost"], arcs["next"] = self.ilabels, self.olabels, self.costs, self.next_states
        start = 0 if self.num_states else -1
        numbers = np.array([(_VERSION, 0, _EXPANDED, start, self.num_states, self.num_arcs)], _NUMBERS)
        names = b"".join(np.int32(len(name)).tobytes() + name for name in (b"const", b"standard"))
        return np.int32(_MAGIC).tobytes() + names + numbers.tobytes() + states.tobytes() + arcs.tobytes()


def _parse(content: bytes, source: str) -> Wfst:
    problem = f"{source}: expected a transducer in OpenFst's format `const` with standard arcs"
    file = io.BytesIO(content)
    if np.frombuffer(file.read(4).ljust(4), "<i4")[0] != _MAGIC:
        raise ValueError(f"{problem}, got another file; build the graph again")
    names = [file.read(int.from_bytes(file.read(4), "little")) for _ in range(2)]
    if names != [b"const", b"standard"]:
        raise ValueError(f"{problem}, got {names}; convert it with fstconvert --fst_type=const")
    numbers = np.frombuffer(file.read(_NUMBERS.itemsize).ljust(_NUMBERS.itemsize, b"\0"), _NUMBERS)[0]
    position, align = file.tell(), 16 if numbers["flags"] & _ALIGNED else 1
    arrays = []
    for dtype, count in ((_STATE, int(numbers["states"])), (_ARC, int(numbers["arcs"]))):
        position += -position % align
        if position + count * dtype.itemsize > len(content):
            raise ValueError(f"{problem}, got one that is cut off after {len(content)} bytes; copy or build the graph again")
        arrays.append(np.frombuffer(content, dtype, count, position))
        position += count * dtype.itemsize
    return _from_tables(*arrays, start=int(numbers["start"]))


def _from_tables(states: np.ndarray, arcs: np.ndarray, start: int) -> Wfst:
    offsets = np.append(states["first"], len(arcs)).astype(np.int64)
    columns = [np.ascontiguousarray(arcs[name]) for name in ("ilabel", "olabel", "cost", "next")]
    fst = Wfst(offsets, *columns, np.ascontiguousarray(states["final"]))
    return fst if start <= 0 else _with_start(fst, start)


def _with_start(fst: Wfst, start: int) -> Wfst:
    """The same transducer with two states renamed so that ``start`` is 0."""
    renamed = np.arange(fst.num_states)
    renamed[[0, start]] = start, 0
    rows = np.stack([renamed[fst.sources], renamed[fst.next_states], fst.ilabels, fst.olabels, fst.costs], axis=1)
    finals = {int(renamed[s]): float(fst.final[s]) for s in np.flatnonzero(np.isfinite(fst.final))}
    return Wfst.from_arcs(rows, finals)
