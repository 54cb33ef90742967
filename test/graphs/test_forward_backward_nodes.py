from __future__ import annotations

import numpy as np
import torch
from graph_cases import toy

from speechkit.graphs.forward_backward import TotalScore
from speechkit.graphs.forward_backward_nodes import LANES, ByNodes, State
from speechkit.graphs.nodes import Nodes


def test_a_graph_whose_states_are_entered_with_one_label_is_computed_by_nodes():
    assert isinstance(TotalScore(toy()[0], "numba")._sums_on(torch.device("cpu")).form, ByNodes)


def test_lanes_end_each_at_its_own_length():
    graph, log_probs = toy()
    nodes = Nodes.of(graph)
    form, lens = ByNodes(nodes), np.array([5, 3, 0, 4])
    probs = log_probs[0].exp().numpy()[:, nodes.classes, None].repeat(LANES, axis=2)
    probs *= np.arange(5)[:, None, None] < lens
    values, alphas = np.empty((2, nodes.num_nodes, LANES)), np.empty((5, form.num_kept, LANES))
    values[0] = form.initial[:, None]
    form.forward(values, probs, alphas)
    state = State.new(form.num_betas, form.shift)
    form.backward(alphas, probs, lens, 0.0, values[1], state)
    expected = TotalScore(graph, "torch")(log_probs.expand(4, -1, -1), torch.from_numpy(lens))
    np.testing.assert_allclose(state.totals, expected, rtol=1e-12)
    np.testing.assert_allclose(probs.sum(1), np.arange(5)[:, None] < lens, atol=1e-12)
