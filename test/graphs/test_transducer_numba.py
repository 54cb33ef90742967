"""Loops for the CPU; the lattice itself is tested with its other implementations in test_graphs_transducer.py."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from speechkit.graphs.transducer import forward_backward
from speechkit.graphs.transducer_numba import best_windows, tanh_of_sums


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-7), (torch.float64, 4e-16)])
def test_the_tanh_of_sums_is_exact_to_rounding_up_to_its_limit(dtype, tolerance):
    x, y = torch.linspace(-39.9, 39.9, 3001, dtype=dtype).view(-1, 1), torch.tensor([[-39.9], [-1], [0], [0.25], [39.9]], dtype=dtype)
    rows, others = torch.arange(3001).repeat(5), torch.arange(5).repeat_interleave(3001)
    out = torch.empty(len(rows), 1, dtype=dtype)
    tanh_of_sums(*((2 * each).exp().numpy() for each in (x, y)), rows.numpy(), others.numpy(), out.numpy())
    torch.testing.assert_close(out.double(), (x.double()[rows] + y.double()[others]).tanh(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("max_step", [1, 2, 4])
def test_the_best_windows_are_those_of_all_sequences_enumerated(max_step):
    random = np.random.default_rng(0)
    for _ in range(20):
        score = random.random((6, 5))
        sequences = [
            s for s in itertools.product(range(5), repeat=6)
            if s[0] == 0 and s[-1] == 4 and all(0 <= b - a <= max_step for a, b in itertools.pairwise(s))
        ]  # fmt: skip
        best = max(sequences, key=lambda s: score[np.arange(6), s].sum())
        assert best_windows(score, max_step).tolist() == list(best)


def test_several_threads_give_the_numbers_of_one():
    arguments = torch.randn(3, 90, 41), torch.randn(3, 90, 40), torch.tensor([90, 80, 41]), torch.tensor([40, 3, 40])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = forward_backward(*arguments, kernel="numba")
        torch.set_num_threads(3)
        several = forward_backward(*arguments, kernel="numba")
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(one, several))
