"""The collectives themselves are tested where they matter: two ranks of the trainer equal one."""

from __future__ import annotations

import torch

from speechkit.utils import dist


def test_one_process_is_a_world_of_its_own(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    dist.init_from_env()
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor([1.0, 2.0])
    dist.sum_gradients([parameter])
    dist.barrier()
    assert (dist.rank(), dist.world_size(), dist.is_main()) == (0, 1, True)
    assert dist.sum_over_ranks(2.5) == 2.5 and parameter.grad.tolist() == [1.0, 2.0]
