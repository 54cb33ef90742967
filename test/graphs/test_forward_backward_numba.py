from __future__ import annotations

import pytest
import torch
from graph_cases import random_graph

from speechkit.graphs import forward_backward_numba
from speechkit.graphs.forward_backward import TotalScore


@pytest.mark.parametrize("num_frames", [1, 16, 23])
def test_values_that_are_computed_again_to_save_memory_change_nothing(monkeypatch, num_frames):
    total = TotalScore(random_graph(4, num_states=7, num_arcs=30), "numba")
    scores = torch.randn(5, num_frames, 3, dtype=torch.float64, requires_grad=True)
    lens = torch.randint(0, num_frames + 1, (5,))
    lens[0] = num_frames
    found = {}
    for memory in (1 << 30, 0):
        monkeypatch.setattr(forward_backward_numba, "MEMORY", memory)
        values = total(scores, lens)
        found[memory] = values, *torch.autograd.grad(values[values > -torch.inf].sum(), scores)
    torch.testing.assert_close(found[0], found[1 << 30], rtol=0, atol=1e-12)


def test_threads_change_nothing(monkeypatch):
    total = TotalScore(random_graph(4, num_states=7, num_arcs=30), "numba")
    scores, lens = torch.randn(11, 9, 3, dtype=torch.float64), torch.arange(11).clamp(max=9)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(total(scores, lens))
    assert found[0].equal(found[1])
