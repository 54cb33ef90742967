from __future__ import annotations

import numpy as np
import pytest
from graph_cases import NEVER, graph, random_graph

from speechkit.graphs.graph import EPSILON, Graph

LOOP = [(0, 0, 1, 0.0)]


@pytest.mark.parametrize(
    ("arcs", "initial", "final", "message"),
    [
        ([(0, 1, 1, 0.0)], [0.0, NEVER], [0.0, NEVER], None),
        ([(1, 0, 1, 0.0)], [0.0, NEVER], [NEVER, 0.0], "expected a path from an initial to a final state, got none among 2"),
        ([(0, 1, 1, NEVER)], [0.0, NEVER], [NEVER, 0.0], "expected a path"),
        (LOOP, [NEVER], [0.0], "expected a path"),
        ([(0, 0, 1, np.nan)], [0.0], [0.0], "weights: expected finite log-weights or -inf, got nan at place 0"),
        (LOOP, [np.inf], [0.0], "initial: expected finite log-weights or -inf, got inf"),
        (LOOP, [0.0], [np.nan], "final: expected finite log-weights or -inf, got nan"),
        ([(0, 1, 1, 0.0)], [0.0], [0.0], "targets: expected numbers from 0 to below 1, got 1 at place 0"),
        ([(0, 0, 1, 0.0), (-1, 0, 1, 0.0)], [0.0], [0.0], "sources: expected numbers from 0 to below 1, got -1 at place 1"),
        ([(0, 0, -2, 0.0)], [0.0], [0.0], "labels: expected numbers from -1 to below inf, got -2"),
        (LOOP, [0.0], [0.0, 0.0], "final: expected 1, one per initial weight, got 2"),
        ([(0, 0, EPSILON, 0.0)], [0.0], [0.0], "expected no cycle of epsilon arcs, got one through state 0"),
        ([(0, 1, -1, 0.0), (1, 2, -1, 0.0), (2, 1, -1, 0.0)], [0.0] * 3, [0.0] * 3, "got one through state 1"),
    ],
)  # fmt: skip
def test_a_graph_that_cannot_be_summed_over_is_refused(arcs, initial, final, message):
    if message is None:
        assert graph(arcs, initial, final).num_arcs == 1
        return
    with pytest.raises(ValueError, match=message):
        graph(arcs, initial, final)


def test_arrays_of_different_lengths_are_named():
    with pytest.raises(ValueError, match="outputs: expected 1, one per weight, got 2"):
        Graph([0], [0], [1], [0.0], [1, 2], [0.0], [0.0])


def test_a_network_with_too_few_classes_is_refused():
    graph(LOOP, [0.0], [0.0]).check_classes(2)
    with pytest.raises(ValueError, match="expected labels below 1, the classes of the network, got 1; .* tokenizer"):
        graph(LOOP, [0.0], [0.0]).check_classes(1)


def test_epsilon_arcs_lead_to_higher_ranks():
    found = random_graph(3, num_states=20, num_epsilon=40)
    epsilon = found.labels == EPSILON
    assert epsilon.sum() > 20
    assert (found.epsilon_ranks[found.targets[epsilon]] > found.epsilon_ranks[found.sources[epsilon]]).all()
    assert found.epsilon_ranks.max() > 3


def test_trimming_leaves_what_lies_on_a_path():
    arcs = [(0, 1, 5, -1.0), (0, 2, 1, 0.0), (3, 1, 1, 0.0), (1, 4, 2, NEVER), (1, 1, 3, -2.0)]
    trimmed = graph(arcs, [0.0, NEVER, NEVER, NEVER, NEVER], [NEVER, -3.0, NEVER, NEVER, 0.0]).trimmed()
    assert (trimmed.sources.tolist(), trimmed.targets.tolist()) == ([0, 1], [1, 1])
    assert (trimmed.labels.tolist(), trimmed.weights.tolist()) == ([5, 3], [-1.0, -2.0])
    assert (trimmed.initial.tolist(), trimmed.final.tolist()) == ([0.0, NEVER], [NEVER, -3.0])


def test_a_saved_graph_loads_back_equal(tmp_path):
    first = random_graph(1)
    first.save(tmp_path / "folder" / "graph.safetensors")
    second = Graph.load(tmp_path / "folder" / "graph.safetensors")
    for name, array in vars(first).items():
        np.testing.assert_array_equal(array, getattr(second, name))


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path):
    path = tmp_path / "graph.safetensors"
    with pytest.raises(ValueError, match=rf"{path}: expected a graph, got .*; restore it from a copy"):
        Graph.load(path)
    random_graph(1).save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"{path}: expected a graph"):
        Graph.load(path)
