from __future__ import annotations

import torch
from graph_cases import random_graph

from speechkit.graphs.forward_backward_dense import DenseSteps
from speechkit.graphs.forward_backward_torch import SparseSteps
from speechkit.graphs.nodes import Nodes


def test_the_matrix_has_all_ways_from_node_to_node_over_hubs():
    nodes = Nodes.of(random_graph(3, num_states=9, num_arcs=40, num_epsilon=12))
    dense, sparse = (kind(nodes, torch.device("cpu")) for kind in (DenseSteps, SparseSteps))
    one = torch.eye(nodes.num_emitting, dtype=torch.float64)
    torch.testing.assert_close(dense.forward(one), sparse.forward(one))
    torch.testing.assert_close(dense.backward(one), sparse.backward(one))
    torch.testing.assert_close(dense.first, sparse.first)
