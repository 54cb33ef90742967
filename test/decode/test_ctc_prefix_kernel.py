"""One frame at a time: where the prefixes of a beam come from, with gains that scorers would give."""

from __future__ import annotations

import numpy as np

from speechkit.decode import ctc_prefix_kernel as kernel

ALL = np.array([1, 2, 0])


def test_the_origins_of_a_beam_spell_its_prefixes():
    frames = np.log(np.random.default_rng(0).dirichlet(np.ones(3), size=9))
    beam, spelled = kernel.start(len(frames), 4), [[]]
    for frame in frames:
        beam, origins = kernel.step(beam, frame, np.argsort(-frame), 0, 4, -np.inf, kernel.NO_GAINS)
        spelled = [spelled[place] + [token] * (token != kernel.STAY) for place, token in origins.tolist()]
        assert [kernel.spell(beam.trie, node) for node in beam.nodes] == spelled
        assert len({tuple(tokens) for tokens in spelled}) == len(spelled) == len(beam.nodes)


def test_gains_rank_the_prefixes_but_are_no_part_of_their_mass():
    frame = np.log([0.5, 0.3, 0.2])
    # Token 2 gains 3 nats, and being the empty prefix costs 1.
    gains = kernel.Gains(np.array([-1.0]), np.array([0]), np.array([[0, 0, 4.0]], np.float32), np.array([4.0], np.float32))
    beam, origins = kernel.step(kernel.start(1, 2), frame, ALL, 0, 2, -np.inf, gains)
    assert origins.tolist() == [[0, 2], [0, kernel.STAY]]
    np.testing.assert_allclose(np.exp(beam.mass), [[0, 0.2], [0.5, 0]])


def test_a_frame_after_which_the_beam_stays_has_only_origins_that_stay():
    beam = kernel.start(3, 2)
    for frame in np.log([[0.9, 0.08, 0.02]] * 3):
        beam, origins = kernel.step(beam, frame, ALL, 0, 2, -np.inf, kernel.NO_GAINS)
    assert origins.tolist() == [[0, kernel.STAY], [1, kernel.STAY]]
