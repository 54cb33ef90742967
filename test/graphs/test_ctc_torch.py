from __future__ import annotations

import torch

from speechkit.graphs import ctc_numba, ctc_torch


def test_posteriors_equal_those_of_numba_in_every_state():
    generator = torch.Generator().manual_seed(1)
    emissions = 9 * torch.randn(4, 29, 7, generator=generator, dtype=torch.float64)
    repeats = torch.rand(4, 7, generator=generator) < 0.3
    facts = emissions, repeats, torch.tensor([29, 1, 16, 7]), torch.tensor([6, 1, 3, 4])
    found = [sum(scan(*facts, True)).exp() for scan in (ctc_torch.scan, ctc_numba.scan)]
    torch.testing.assert_close(*found, rtol=1e-12, atol=0)


def test_alphas_alone_are_those_that_come_with_betas():
    emissions, lens = torch.randn(2, 5, 3, dtype=torch.float64), torch.tensor([5, 3])
    facts = emissions, torch.zeros(2, 3, dtype=torch.bool), lens, torch.tensor([2, 1])
    assert torch.equal(ctc_torch.scan(*facts, False)[0], ctc_torch.scan(*facts, True)[0])
    assert ctc_torch.scan(*facts, False)[1] is None
