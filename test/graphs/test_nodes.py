from __future__ import annotations

import numpy as np
import pytest
import torch
from graph_cases import NEVER, graph, log_sum, path_scores, random_graph, toy

from speechkit.graphs.nodes import Nodes


@pytest.mark.parametrize("seed", range(5))
def test_every_node_is_entered_with_its_label_and_hubs_lead_to_later_hubs(seed):
    nodes = Nodes.of(random_graph(seed, num_states=9, num_arcs=40))
    emitting = nodes.num_emitting
    assert (np.diff(nodes.labels[:emitting]) >= 0).all() and (nodes.labels[emitting:] == -1).all()
    for n in range(emitting, nodes.num_nodes):
        leaving = nodes.leaving.nodes[nodes.leaving.offsets[n] : nodes.leaving.offsets[n + 1]]
        assert all(other < emitting or other > n for other in leaving)
    assert nodes.classes[nodes.columns[:emitting]].tolist() == nodes.labels[:emitting].tolist()


def test_a_state_that_is_entered_with_one_label_needs_no_hub():
    nodes = Nodes.of(toy()[0])
    assert (nodes.num_nodes, nodes.num_emitting, nodes.num_arcs) == (9, 9, 24)


def test_arcs_are_the_same_by_target_and_by_source():
    nodes = Nodes.of(random_graph(2, num_states=9, num_arcs=40))
    by_target = zip(nodes.arriving.nodes, np.repeat(np.arange(nodes.num_nodes), np.diff(nodes.arriving.offsets)))
    by_source = zip(np.repeat(np.arange(nodes.num_nodes), np.diff(nodes.leaving.offsets)), nodes.leaving.nodes)
    assert sorted(zip(by_target, nodes.arriving.weights)) == sorted(zip(by_source, nodes.leaving.weights))


@pytest.mark.parametrize("seed", range(6))
def test_paths_without_a_frame_and_the_shortest_path_are_known(seed):
    found = random_graph(seed, num_arcs=3)
    nodes = Nodes.of(found)
    assert nodes.no_frames == pytest.approx(log_sum(path_scores(found, torch.zeros(0, 3))))
    lengths = [length for length in range(4) if path_scores(found, torch.zeros(length, 3))]
    assert nodes.least_frames() == lengths[0]


def test_the_shortest_path_may_lead_over_arcs_without_a_frame():
    arcs = [(0, 1, 2, 0.0), (1, 2, 2, 0.0), (2, 3, 2, 0.0), (0, 2, -1, 0.0), (0, 3, 2, NEVER)]
    nodes = Nodes.of(graph(arcs, [0.0, NEVER, NEVER, NEVER], [NEVER, NEVER, NEVER, 0.0]))
    assert nodes.least_frames() == 1
