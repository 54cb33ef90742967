from __future__ import annotations

import numpy as np
import torch
from graph_cases import random_graph

from speechkit.graphs.forward_backward_torch import Product, SparseSteps
from speechkit.graphs.nodes import Nodes


def test_a_product_adds_up_the_arcs_of_the_nodes_that_it_is_for():
    nodes = Nodes.of(random_graph(2, num_states=9, num_arcs=40))
    rows, values = nodes.arriving_probs, torch.rand(nodes.num_nodes, 3, dtype=torch.float64)
    chosen = np.array([5, 0, 3])
    expected = []
    for n in chosen:
        arcs = slice(rows.offsets[n], rows.offsets[n + 1])
        expected.append((torch.from_numpy(rows.weights[arcs])[:, None] * values[rows.nodes[arcs]]).sum(0))
    torch.testing.assert_close(Product(rows, chosen, torch.device("cpu"))(values), torch.stack(expected))


def test_a_step_back_is_the_transpose_of_a_step_forward():
    steps = SparseSteps(Nodes.of(random_graph(3, num_states=9, num_arcs=40, num_epsilon=12)), torch.device("cpu"))
    one = torch.eye(steps.num_emitting, dtype=torch.float64)
    torch.testing.assert_close(steps.forward(one), steps.backward(one).T)
