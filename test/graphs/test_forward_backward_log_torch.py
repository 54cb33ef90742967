from __future__ import annotations

import torch

from speechkit.graphs.forward_backward_log import log_sums_of_each
from speechkit.graphs.forward_backward_log_torch import log_sum, log_sums
from speechkit.graphs.label_graph import TOPOLOGIES, label_graphs


def test_rows_are_summed_each_by_itself_and_empty_ones_are_minus_infinity():
    values = torch.tensor([0.5, -torch.inf, 900.0, 900.0, -torch.inf], dtype=torch.float64)
    found = log_sum(values, torch.tensor([0, 0, 3, 3, 2]), 4)
    expected = [0.5, -torch.inf, -torch.inf, 900.0 + torch.tensor(2.0, dtype=torch.float64).log().item()]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_long_utterances_equal_those_of_numba():
    slots = [[(-0.5, [1, 2]), (-1.0, [3]), (-3.0, [])] for _ in range(9)]
    graphs = label_graphs([slots, slots[:2], [[(0.0, [1] * 20)]]], TOPOLOGIES["ctc"])
    scores, lens = 9 * torch.randn(3, 60, 4, dtype=torch.float64), torch.tensor([60, 41, 39])
    torch.testing.assert_close(log_sums(graphs, scores, lens), log_sums_of_each(graphs, scores, lens), rtol=1e-10, atol=1e-12)
