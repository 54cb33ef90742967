from __future__ import annotations

import torch

from speechkit.graphs import ctc_numba, ctc_torch


def lattice(batch=4, frames=29, tokens=6):
    generator = torch.Generator().manual_seed(1)
    emissions = torch.randn(batch, frames, tokens + 1, generator=generator, dtype=torch.float64)
    repeats = torch.rand(batch, tokens + 1, generator=generator) < 0.3
    return emissions, repeats, torch.tensor([29, 1, 16, 7]), torch.tensor([6, 1, 3, 6])


def test_states_that_are_on_no_path_to_the_end_are_left_out():
    emissions, _, frame_lens, token_lens = lattice()
    none = torch.zeros(4, 7, dtype=torch.bool)
    alphas, betas = ctc_numba.scan(emissions, none, frame_lens, token_lens, True)
    everywhere = ctc_torch.scan(emissions, none, frame_lens, token_lens, True)
    passed = torch.isfinite(everywhere[0] + everywhere[1])
    assert passed.sum() < torch.isfinite(everywhere[0]).sum()
    assert torch.equal(torch.isfinite(alphas), passed) and torch.equal(torch.isfinite(betas), passed)


def test_threads_give_the_same_numbers_as_one(monkeypatch):
    alone = ctc_numba.scan(*lattice(), True)
    monkeypatch.setattr(ctc_numba, "ENOUGH", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    threads = ctc_numba.scan(*lattice(), True)
    assert torch.equal(alone[0], threads[0]) and torch.equal(alone[1], threads[1])
    assert ctc_numba.scan(*lattice(), False)[1] is None
