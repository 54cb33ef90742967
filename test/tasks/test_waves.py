from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from speechkit.tasks.waves import WaveTask, weighted_sum


def test_values_without_a_weight_do_not_count():
    losses = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([10.0, 20.0]), "parts": torch.tensor([9.0, 9.0])}
    assert weighted_sum(losses, {"a": 2.0, "b": 0.5, "absent": 7.0}).tolist() == [7.0, 14.0]


def test_fixed_draws_repeat_and_leave_the_others_alone():
    task = SimpleNamespace(device=torch.device("cpu"), config=SimpleNamespace(seed=4))
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with WaveTask.fixed_draws(task):
            draws.append(torch.rand(3))
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(5)  # what training draws
        before = torch.get_rng_state()
    assert torch.equal(*draws)


def test_after_an_error_random_numbers_are_where_they_were():
    task = SimpleNamespace(device=torch.device("cpu"), config=SimpleNamespace(seed=4))
    before = torch.get_rng_state()
    with pytest.raises(KeyError), WaveTask.fixed_draws(task):
        raise KeyError
    assert torch.equal(before, torch.get_rng_state())
