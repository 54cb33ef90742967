"""Sums over the paths of one graph on GPUs: the sparse matrix products of the frames as a kernel of ours."""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from speechkit.graphs.forward_backward_torch import SparseSteps, arcs_of, sums_by_frames
from speechkit.graphs.nodes import Nodes, Rows

LONGEST = 32  # arcs that one row of a program adds up; a node with more has several rows, or all would wait for it
ROWS = 32  # of a program


class Product:
    """For R of the nodes the sum of weight times value over their arcs."""

    def __init__(self, rows: Rows, nodes: np.ndarray, device: torch.device) -> None:
        arcs, offsets = arcs_of(rows, nodes)
        counts = np.diff(offsets)
        pieces = -(-counts // LONGEST)  # rounded up
        owners = np.repeat(np.arange(len(nodes)), pieces)
        within = np.arange(len(owners)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        begins = offsets[owners] + within * LONGEST
        ends = np.minimum(begins + LONGEST, offsets[owners + 1])
        order = np.argsort(begins - ends, kind="stable")  # rows of like length side by side, longest first
        self.num_nodes = len(nodes)
        self.owners, self.begins, self.ends = (
            torch.from_numpy(each[order].astype(np.int64)).to(device) for each in (owners, begins, ends)
        )
        self.others = torch.from_numpy(rows.nodes[arcs].astype(np.int64)).to(device)
        self.weights = torch.from_numpy(rows.weights[arcs]).to(device)

    def __call__(self, values: Tensor) -> Tensor:
        """(N, B) values of all nodes in, (R, B) sums out."""
        batch = values.shape[1]
        found = values.new_zeros(self.num_nodes, batch)
        if len(self.owners):
            lanes = min(triton.next_power_of_2(batch), 16)
            grid = (triton.cdiv(len(self.owners), ROWS), triton.cdiv(batch, lanes))
            _add_rows[grid](
                self.owners, self.begins, self.ends, self.others, self.weights, values, found, len(self.owners), batch,
                ROWS, lanes,
            )  # fmt: skip
        return found


@triton.jit
def _add_rows(
    owners, begins, ends, others, weights, values, found, num_rows, batch, ROWS: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    lane = tl.program_id(1) * LANES + tl.arange(0, LANES)
    inside = row < num_rows
    begin = tl.load(begins + row, mask=inside, other=0)
    count = tl.load(ends + row, mask=inside, other=0) - begin
    total = tl.zeros((ROWS, LANES), dtype=tl.float64)
    for k in range(tl.max(count, 0)):
        there = k < count
        weight = tl.load(weights + begin + k, mask=there, other=0.0)
        other = tl.load(others + begin + k, mask=there, other=0)
        value = tl.load(
            values + other[:, None] * batch + lane[None, :], mask=there[:, None] & (lane < batch)[None, :], other=0.0
        )
        total += weight[:, None] * value
    owner = tl.load(owners + row, mask=inside, other=0)
    tl.atomic_add(found + owner[:, None] * batch + lane[None, :], total, mask=inside[:, None] & (lane < batch)[None, :])


class Sums:
    """A graph on a device, ready for utterances; see :data:`speechkit.graphs.forward_backward.KERNELS`."""

    def __init__(self, nodes: Nodes, device: torch.device) -> None:
        self.steps = SparseSteps(nodes, device, Product)

    def __call__(self, probs: Tensor, lens: Tensor, precise: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Total scores, occupancies, and whether they are exact."""
        return sums_by_frames(self.steps, probs, lens)
