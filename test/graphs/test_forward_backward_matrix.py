from __future__ import annotations

import numpy as np
import torch
from graph_cases import random_graph

from speechkit.graphs.forward_backward_matrix import ByMatrix, passing_probs
from speechkit.graphs.forward_backward_nodes import ByNodes
from speechkit.graphs.forward_backward_numba import FormSums
from speechkit.graphs.nodes import Nodes


def test_the_matrix_gives_the_sums_of_the_arcs_it_is_made_of():
    nodes = Nodes.of(random_graph(3, num_states=9, num_arcs=40, num_epsilon=12))
    probs, lens = torch.rand(5, 17, len(nodes.classes), dtype=torch.float64), torch.tensor([17, 2, 9, 16, 1])
    probs.masked_fill_(torch.arange(17).unsqueeze(1) >= lens[:, None, None], 0.0)
    by_matrix, by_nodes = (FormSums(form(nodes))(probs.clone(), lens, True) for form in (ByMatrix, ByNodes))
    for one, other in zip(by_matrix, by_nodes):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_who_passes_over_hubs_is_counted_once():
    nodes = Nodes.of(random_graph(3, num_states=9, num_arcs=40, num_epsilon=12))
    assert nodes.num_nodes > nodes.num_emitting
    matrix, first = passing_probs(nodes)
    arriving = nodes.arriving_probs
    direct = np.zeros((nodes.num_nodes, nodes.num_nodes))
    for n in range(nodes.num_nodes):
        for k in range(arriving.offsets[n], arriving.offsets[n + 1]):
            direct[arriving.nodes[k], n] += arriving.weights[k]
    emitting, hubs = slice(None, nodes.num_emitting), slice(nodes.num_emitting, None)
    over_hubs = np.linalg.inv(np.eye(nodes.num_nodes - nodes.num_emitting) - direct[hubs, hubs]) @ direct[hubs, emitting]
    np.testing.assert_allclose(matrix, direct[emitting, emitting] + direct[emitting, hubs] @ over_hubs)
    assert first.shape == (nodes.num_emitting,)
