"""Rows that share memories: the hypotheses of one utterance read the same encodings, which are held once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Groups:
    """Which of B memories each of N rows reads.

    Args:
        owners: (N,) int64 in [0, B).
        count: B.
        size: K, the rows of the memory that has most.
        slots: (N,) int64, the place of each row among those of its memory; None where rows ``bK ... bK + K - 1`` read
            memory b, so that rows become a grid by a view.
    """

    owners: Tensor
    count: int
    size: int
    slots: Tensor | None = None

    @classmethod
    def single(cls, count: int, device: torch.device | str = "cpu") -> Groups:
        """One row for each of ``count`` memories."""
        return cls(torch.arange(count, device=device), count, 1)

    @classmethod
    def of(cls, owners: Tensor, count: int) -> Groups:
        """Rows with these owners (N,) among ``count`` memories, in any order."""
        size = len(owners) // count if count else 0
        if torch.equal(owners, torch.arange(count, device=owners.device).repeat_interleave(size)):
            return cls(owners, count, size)
        sizes = torch.bincount(owners, minlength=count)
        order = owners.argsort(stable=True)
        slots = torch.empty_like(owners)
        slots[order] = torch.arange(len(owners), device=owners.device) - (sizes.cumsum(0) - sizes)[owners[order]]
        return cls(owners, count, int(sizes.max()), slots)

    def select(self, rows: Tensor) -> tuple[Groups, Tensor | None]:
        """Groups of some rows.

        Args:
            rows: (M,) int64, which of the N; any order, any number of times.

        Returns:
            Groups of the M rows, and which memories (B',) are still read, or None where all of them are.
        """
        owners = self.owners[rows]
        kept = torch.bincount(owners, minlength=self.count).nonzero().squeeze(1)
        if len(kept) == self.count:
            return Groups.of(owners, self.count), None
        return Groups.of(torch.searchsorted(kept, owners), len(kept)), kept

    def spread(self, x: Tensor) -> Tensor:
        """(N, ...) as a grid (B, K, ...): the rows of memory b in ``[b]``, and zeros where it has fewer than K."""
        if self.slots is None:
            return x.unflatten(0, (self.count, self.size))
        grid = x.new_zeros(self.count, self.size, *x.shape[1:])
        return grid.index_put((self.owners, self.slots), x)

    def collect(self, grid: Tensor) -> Tensor:
        """The inverse of :meth:`spread`: (B, K, ...) to (N, ...)."""
        return grid.flatten(0, 1) if self.slots is None else grid[self.owners, self.slots]
