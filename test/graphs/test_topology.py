"""Topologies accept the frame labels that spell a token sequence, and no others."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from speechkit.graphs.topology import ctc_topology, hmm_topology
from speechkit.graphs.wfst import EPSILON, Wfst

SIZE, BLANK = 4, 2


def outputs(fst: Wfst, labels: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every output of an input, one per path."""
    found = []

    def go(state: int, place: int, said: tuple[int, ...]) -> None:
        if place == len(labels) and np.isfinite(fst.final[state]):
            found.append(said)
        for arc in range(fst.offsets[state], fst.offsets[state + 1]):
            step = 1 if fst.ilabels[arc] != EPSILON else 0
            if not step or labels[place : place + 1] == (fst.ilabels[arc],):
                word = (int(fst.olabels[arc]) - 1,) if fst.olabels[arc] != EPSILON else ()
                go(fst.next_states[arc], place + step, said + word)

    go(0, 0, ())
    return found


def collapsed(frames: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(frames) if token != BLANK)


def test_ctc_takes_every_frame_sequence_to_what_it_spells_by_one_path() -> None:
    topology = ctc_topology(SIZE, BLANK)
    assert topology.num_arcs == SIZE**2
    for frames in itertools.product(range(SIZE), repeat=4):
        assert outputs(topology, tuple(frame + 1 for frame in frames)) == [collapsed(frames)]


@pytest.mark.parametrize("size", [1, 2])
def test_a_vocabulary_of_a_blank_alone_or_one_token_more(size: int) -> None:
    assert ctc_topology(size).num_arcs == size**2
    assert outputs(ctc_topology(size), (1, 1)) == [()]


def test_hmms_take_each_token_for_a_frame_or_more_and_no_blank() -> None:
    topology = hmm_topology(SIZE, BLANK)
    for frames in itertools.product((0, 1, 3), repeat=3):
        found = outputs(topology, tuple(frame + 1 for frame in frames))
        runs = [[(token,) * n for n in range(1, len(list(group)) + 1)] for token, group in itertools.groupby(frames)]
        expected = {tuple(itertools.chain(*ways)) for ways in itertools.product(*runs)}
        assert set(found) == expected
    assert outputs(topology, (1, BLANK + 1)) == []
