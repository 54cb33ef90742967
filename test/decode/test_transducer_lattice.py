"""One step of the beam on two label sequences, added up by hand."""

from __future__ import annotations

import numpy as np
import pytest

from speechkit.decode.transducer_lattice import BEST, LENGTH, LINK, MASS, OWNER, TOKEN, History, Move, advance, empty_beam

V, BLANK = 4, 0


def move(probs, frame=0):
    probs = np.array(probs)
    none, all_ = np.full(len(probs), -np.inf), np.ones(len(probs), dtype=bool)
    return Move(np.log(probs), np.zeros((0, 0), np.float32), np.full(len(probs), frame), all_, all_, none)


def test_alignments_of_the_same_labels_are_added_and_keep_the_emissions_of_the_likelier_one():
    history = History()
    beam, parents, tokens = advance(empty_beam(1), move([[0.5, 0.3, 0.2, 0.0]]), BLANK, 3, history)
    assert parents.tolist() == [0, 0, 0] and sorted(tokens.tolist()) == [0, 1, 2]
    rows = {int(token): row for row, token in enumerate(tokens)}
    probs = np.zeros((3, V))
    probs[rows[0]], probs[rows[1]], probs[rows[2]] = [0.1, 0.9, 0.0, 0.0], [0.7, 0.0, 0.3, 0.0], [1.0, 0.0, 0.0, 0.0]
    beam, _, _ = advance(beam, move(probs, frame=1), BLANK, 4, history)
    found = {
        tuple(token for token, _, _ in history.emissions(int(ids[LINK]))): (scores[MASS], scores[BEST], int(ids[LINK]))
        for ids, scores in zip(beam.ids, beam.scores)
    }
    # Label 1 alone: in frame 1 after a blank (0.5 * 0.9), or in frame 0 and then a blank (0.3 * 0.7).
    assert np.exp(found[(1,)][0]) == pytest.approx(0.5 * 0.9 + 0.3 * 0.7)
    assert np.exp(found[(1,)][1]) == pytest.approx(0.5 * 0.9)
    assert history.emissions(found[(1,)][2]) == [(1, 1, pytest.approx(0.9))]
    assert np.exp(found[(2,)][0]) == pytest.approx(0.2) and np.exp(found[(1, 2)][0]) == pytest.approx(0.3 * 0.3)
    assert np.exp(found[()][0]) == pytest.approx(0.5 * 0.1)


def test_each_utterance_keeps_its_own_best():
    beam, parents, _ = advance(empty_beam(2), move([[0.1, 0.6, 0.2, 0.1], [0.6, 0.1, 0.1, 0.2]]), BLANK, 2, History())
    assert beam.ids[:, OWNER].tolist() == [0, 0, 1, 1] == parents.tolist()
    kept = [(int(ids[OWNER]), int(ids[TOKEN]) if ids[LENGTH] else BLANK) for ids in beam.ids]
    assert sorted(kept) == [(0, 1), (0, 2), (1, 0), (1, 3)]


def test_the_history_grows_with_what_is_emitted():
    history = History()
    beam = empty_beam(1)
    for frame in range(1500):
        beam, _, _ = advance(beam, move([[0.0, 1.0, 0.0, 0.0]], frame), BLANK, 1, history)
    chain = history.emissions(int(beam.ids[0, LINK]))
    assert [frame for _, frame, _ in chain] == list(range(1500)) and {token for token, _, _ in chain} == {1}
