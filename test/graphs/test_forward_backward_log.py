from __future__ import annotations

import torch
from graph_cases import log_sum, path_scores, random_graph

from speechkit.graphs.forward_backward import TotalScore
from speechkit.graphs.forward_backward_log import log_sums
from speechkit.graphs.nodes import Nodes


def test_one_graph_for_all_utterances_gives_the_sums_of_the_other_kernels():
    found = random_graph(5, num_states=6, num_arcs=20)
    scores = torch.randn(3, 4, 3, dtype=torch.float64, requires_grad=True)
    lens = torch.tensor([4, 1, 3])
    totals, occupancies = log_sums(Nodes.of(found), scores.detach()[:, :, Nodes.of(found).classes], lens)
    other = TotalScore(found, "numba")(scores, lens)
    torch.testing.assert_close(totals, other.detach())
    torch.testing.assert_close(occupancies, torch.autograd.grad(other.sum(), scores)[0])
    assert abs(totals[0].item() - log_sum(path_scores(found, scores[0]))) < 1e-10
