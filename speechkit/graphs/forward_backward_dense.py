"""Sums over the paths of graphs in which nearly every node leads to every other: a matrix product for each frame."""

from __future__ import annotations

import torch
from torch import Tensor

from speechkit.graphs.forward_backward_matrix import ByMatrix, passing_probs
from speechkit.graphs.forward_backward_numba import FormSums
from speechkit.graphs.forward_backward_torch import sums_by_frames
from speechkit.graphs.nodes import Nodes


class DenseSteps:
    """All arcs in one matrix, over hubs included."""

    def __init__(self, nodes: Nodes, device: torch.device) -> None:
        matrix, first = passing_probs(nodes)
        initial_shift, (last, last_shift) = nodes.initial_probs[1], nodes.final_probs
        self.matrix = torch.from_numpy(matrix).to(device)
        self.first = torch.from_numpy(first).to(device)
        self.last = torch.from_numpy(last[: nodes.num_emitting]).to(device)
        self.labels = torch.from_numpy(nodes.columns[: nodes.num_emitting]).to(device)
        self.shift = initial_shift + last_shift

    def forward(self, alphas: Tensor) -> Tensor:
        """What arrives at each node; see :class:`speechkit.graphs.forward_backward_torch.Steps`."""
        return (alphas.T @ self.matrix).T  # in this order BLAS takes half the time

    def backward(self, values: Tensor) -> Tensor:
        """What leaves each node; see :class:`speechkit.graphs.forward_backward_torch.Steps`."""
        return (values.T @ self.matrix.T).T


class Sums:
    """A graph on a device, ready for utterances; see :data:`speechkit.graphs.forward_backward.KERNELS`."""

    def __init__(self, nodes: Nodes, device: torch.device) -> None:
        # On a CPU the calls that a frame takes would last longer than its product.
        self.form_sums = FormSums(ByMatrix(nodes)) if device.type == "cpu" else None
        self.steps = None if self.form_sums else DenseSteps(nodes, device)

    def __call__(self, probs: Tensor, lens: Tensor, precise: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Total scores, occupancies, and whether they are exact."""
        if self.form_sums:
            return self.form_sums(probs, lens, precise)
        return sums_by_frames(self.steps, probs, lens)
