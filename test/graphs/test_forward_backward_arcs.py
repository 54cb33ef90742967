from __future__ import annotations

import pytest
import torch
from graph_cases import random_graph

from speechkit.graphs.forward_backward import TotalScore
from speechkit.graphs.forward_backward_arcs import ByArcs
from speechkit.graphs.forward_backward_log import log_sums
from speechkit.graphs.forward_backward_nodes import ByNodes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", ["arcs", "nodes"])
def test_a_graph_arc_by_arc_and_node_by_node_gives_the_sums_of_logarithms(form, seed):
    graph = random_graph(seed, num_states=9, num_arcs=40, num_epsilon=12)
    total = TotalScore(graph, "numba")
    sums = total._sums_on(torch.device("cpu"))
    sums.form = ByNodes(total.nodes) if form == "nodes" else ByArcs(graph, total.nodes.classes)
    scores = torch.randn(5, 12, 3, dtype=torch.float64, requires_grad=True)
    lens = torch.tensor([12, 5, 1, 11, 12])
    found = total(scores, lens)
    totals, occupancies = log_sums(total.nodes, scores.detach(), lens)
    torch.testing.assert_close(found.detach(), totals, rtol=0, atol=1e-11)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), scores)[0], occupancies, rtol=0, atol=1e-11)


def test_the_form_with_fewer_arcs_is_taken():
    many_labels = TotalScore(random_graph(0, num_states=9, num_arcs=40), "numba")
    assert isinstance(many_labels._sums_on(torch.device("cpu")).form, ByArcs)
