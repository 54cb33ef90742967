"""Sums over the paths of graphs in which nearly every node leads to every other: a matrix product for each frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from speechkit.graphs.forward_backward_torch import sums_by_frames
from speechkit.graphs.nodes import Nodes


class DenseSteps:
    """All arcs in one matrix, over hubs included."""

    def __init__(self, nodes: Nodes, device: torch.device) -> None:
        matrix, first = _matrix(nodes)
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
        self.steps = DenseSteps(nodes, device)

    def __call__(self, probs: Tensor, lens: Tensor, precise: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Total scores, occupancies, and whether they are exact."""
        return sums_by_frames(self.steps, probs, lens)


def _matrix(nodes: Nodes) -> tuple[np.ndarray, np.ndarray]:
    """Probability of passing from each emitting node to each, (E, E), and from the initial states to each, (E,)."""
    num_emitting, arriving = nodes.num_emitting, nodes.arriving_probs
    # What is at each node when one unit is at each emitting node, and in the last row, when paths begin.
    at = np.zeros((nodes.num_nodes, num_emitting + 1))
    at[:num_emitting, :num_emitting] = np.eye(num_emitting)
    at[:, num_emitting] = nodes.initial_probs[0]
    arrived = np.zeros_like(at[:num_emitting])
    for n in [*range(num_emitting, nodes.num_nodes), *range(num_emitting)]:
        arcs = slice(arriving.offsets[n], arriving.offsets[n + 1])
        sums = arriving.weights[arcs] @ at[arriving.nodes[arcs]]
        if n < num_emitting:
            arrived[n] = sums
        else:
            at[n, :num_emitting] = sums[:num_emitting]
    return np.ascontiguousarray(arrived[:, :num_emitting].T), arrived[:, num_emitting].copy()
