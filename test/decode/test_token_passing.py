"""Token passing: its beams, against the search of everything; test_decode_wfst.py has its results."""

from __future__ import annotations

import numpy as np
import pytest
from toy_graph import random_log_probs, toy_graph

from speechkit.decode.token_passing import Links, graph_arrays, search
from speechkit.graphs.wfst import Wfst

WIDE = 1000.0


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    fst = toy_graph(tmp_path_factory.mktemp("graph")).fst
    return graph_arrays(fst, fst.costs, fst.final)


def costs(arrays, acoustic: np.ndarray, links: Links) -> np.ndarray:
    labels = arrays.labels[links.arcs]
    frame = links.frames[links.sources].clip(max=len(acoustic) - 1)
    return arrays.costs[links.arcs] + np.where(labels > 0, acoustic[frame, labels - 1], 0.0)


def distances(arrays, acoustic: np.ndarray, links: Links) -> tuple[np.ndarray, np.ndarray]:
    """Cost of the best path through each link, and of the best path of all."""
    weights, size = costs(arrays, acoustic, links), len(links.frames)
    before, after = np.full(size, np.inf), np.where(links.frames == len(acoustic), arrays.final[links.graph_states], np.inf)
    before[0] = 0.0
    for link, (source, target) in enumerate(zip(links.sources, links.targets)):
        before[target] = min(before[target], before[source] + weights[link])
    for link in reversed(range(len(weights))):
        source, target = links.sources[link], links.targets[link]
        after[source] = min(after[source], after[target] + weights[link])
    return before[links.sources] + weights + after[links.targets], after[0]


def test_the_lattice_holds_just_the_links_of_paths_within_its_beam(arrays) -> None:
    acoustic = -random_log_probs(8, 6, seed=2)
    whole = search(arrays, acoustic, WIDE, 10**6, WIDE)
    through, best = distances(arrays, acoustic, whole)
    for beam in (0.0, 1.0, 4.0):
        links = search(arrays, acoustic, WIDE, 10**6, beam)
        assert len(links.arcs) == (through <= best + beam + 1e-9).sum()
        ours, same = distances(arrays, acoustic, links)
        assert same == pytest.approx(best) and ours.max() <= best + beam + 1e-6
        assert (links.sources < links.targets).all() and (np.diff(links.sources) >= 0).all()


def test_beam_and_most_active_tokens_only_leave_paths_out(arrays) -> None:
    acoustic = -random_log_probs(12, 6, seed=3)
    _, best = distances(arrays, acoustic, search(arrays, acoustic, WIDE, 10**6, 1.0))
    sizes = []
    for beam, max_active in ((8.0, 10**6), (WIDE, 10), (WIDE, 10**6)):
        links = search(arrays, acoustic, beam, max_active, WIDE)
        sizes.append(len(links.arcs))
        assert distances(arrays, acoustic, links)[1] >= best - 1e-9
    assert sizes[0] < sizes[2] and sizes[1] < sizes[2]


def test_where_no_path_ends_there_is_no_lattice(arrays) -> None:
    assert search(arrays, np.full((3, 6), np.inf), WIDE, 10**6, WIDE) is None
    only_space = np.full((2, 6), np.inf)
    only_space[:, 2] = 0.0
    assert search(arrays, only_space, WIDE, 10**6, WIDE) is None
    nothing = search(arrays, np.empty((0, 6)), WIDE, 10**6, WIDE)
    assert len(nothing.frames) >= 1 and nothing.frames.max() == 0


def test_a_circle_of_epsilons_is_refused() -> None:
    fst = Wfst.from_arcs([(0, 1, 0, 1, 0.0), (1, 2, 0, 0, 1.0), (2, 1, 0, 0, 1.0), (1, 2, 3, 0, 0.0)], {2: 0.0})
    with pytest.raises(ValueError, match="expected no circle of epsilon arcs"):
        graph_arrays(fst, fst.costs, fst.final)
