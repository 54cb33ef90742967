from __future__ import annotations

import pytest
import torch

from speechkit.nn.groups import Groups


@pytest.mark.parametrize("owners", [[0, 1, 2], [0, 0, 1, 1, 2, 2], [2, 0, 2, 1, 2], [1], [0, 0, 1, 2]])
def test_each_row_lies_with_its_memory_and_comes_back(owners):
    groups, x = Groups.of(torch.tensor(owners), 3), torch.randn(len(owners), 5) + 10
    grid = groups.spread(x)
    assert grid.shape == (3, max(owners.count(b) for b in range(3)), 5)
    for b in range(3):
        mine = x[torch.tensor(owners) == b]
        assert torch.equal(grid[b, : len(mine)], mine) and grid[b, len(mine) :].eq(0).all()
    assert torch.equal(groups.collect(grid), x)


def test_rows_in_order_become_a_grid_without_a_copy():
    x = torch.randn(6, 5)
    assert Groups.of(torch.tensor([0, 0, 1, 1, 2, 2]), 3).spread(x).data_ptr() == x.data_ptr()
    assert Groups.single(6).spread(x).data_ptr() == x.data_ptr()


def test_a_selection_says_which_memories_are_still_read():
    groups, kept = Groups.single(3).select(torch.tensor([2, 0, 2]))
    assert kept.tolist() == [0, 2] and groups.owners.tolist() == [1, 0, 1] and groups.count == 2
    groups, kept = groups.select(torch.tensor([1, 0, 0]))
    assert kept is None and groups.owners.tolist() == [0, 1, 1]
