"""Sums over the paths of one graph in plain torch, on any device: a loop over frames, each a sparse matrix product."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.graphs.nodes import Nodes, Rows

NEGLIGIBLE = 1e-250  # of the sums of forward and backward values, what their products may have lost to underflow


class Steps(Protocol):
    """How the values of E nodes pass from one frame to the next; what kernels differ in."""

    labels: Tensor
    """(E,) for each node the place of its label among the graph's classes."""
    first: Tensor
    """(E,) what arrives at each node from the initial states, scaled."""
    last: Tensor
    """(E,) final probabilities, scaled."""
    shift: float
    """Logarithm of these scales."""

    def forward(self, alphas: Tensor) -> Tensor:
        """What arrives at each node from the values (E, B) of a frame."""

    def backward(self, values: Tensor) -> Tensor:
        """What leaves each node towards the values (E, B) of the next frame."""


def sums_by_frames(steps: Steps, probs: Tensor, lens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The recursions frame by frame, all utterances at once; arguments and results as for a kernel."""
    batch, num_frames = probs.shape[:2]
    frames = probs.permute(1, 2, 0).contiguous()  # (S, C, B)
    alphas = frames.new_empty(num_frames, len(steps.labels), batch)
    arriving = steps.first.unsqueeze(1).expand(-1, batch)
    for t in range(num_frames):
        alpha = torch.mul(frames[t].index_select(0, steps.labels), arriving, out=alphas[t])
        if t + 1 < num_frames:
            arriving = steps.forward(alpha * _inverse(alpha.sum(0)))
    log_scale = torch.full((batch,), steps.shift, dtype=torch.float64, device=probs.device)
    totals, exact = torch.full_like(log_scale, -torch.inf), torch.ones_like(lens, dtype=torch.bool)
    beta = torch.zeros_like(arriving)
    last = steps.last.unsqueeze(1)
    for t in range(num_frames - 1, -1, -1):
        beta = torch.where(lens == t + 1, last, beta)
        alpha = alphas[t]
        alpha_sum, beta_sum = alpha.sum(0), beta.sum(0)
        joint = alpha.mul_(beta).sum(0)
        alpha.mul_(_inverse(joint))
        inside = lens > t
        exact &= (joint > NEGLIGIBLE * torch.maximum(alpha_sum, beta_sum)) | ~inside
        totals = torch.where(inside, joint.log() + log_scale, totals)
        if t > 0:
            log_scale = torch.where(inside, log_scale + beta_sum.log(), log_scale)
            beta = steps.backward(frames[t].index_select(0, steps.labels) * (beta * _inverse(beta_sum)))
    occupancies = torch.zeros_like(frames).index_add_(1, steps.labels, alphas)
    return totals, occupancies.permute(2, 0, 1), exact


def _inverse(total: Tensor) -> Tensor:
    return torch.where(total > 0, 1.0 / total, 0.0)


class Product:
    """For R of the nodes the sum of weight times value over their arcs."""

    def __init__(self, rows: Rows, nodes: np.ndarray, device: torch.device) -> None:
        arcs, offsets = arcs_of(rows, nodes)
        self.offsets = torch.from_numpy(offsets).to(device)
        self.others = torch.from_numpy(rows.nodes[arcs].astype(np.int64)).to(device)
        self.weights = torch.from_numpy(rows.weights[arcs]).to(device)

    def __call__(self, values: Tensor) -> Tensor:
        """(N, B) values of all nodes in, (R, B) sums out."""
        return F.embedding_bag(
            self.others, values, self.offsets, mode="sum", per_sample_weights=self.weights, include_last_offset=True
        )


def arcs_of(rows: Rows, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The arcs of some nodes, one node after the other, and where each one's begin (R + 1,)."""
    counts = np.diff(rows.offsets)[nodes]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return np.arange(offsets[-1]) + np.repeat(rows.offsets[nodes] - offsets[:-1], counts), offsets


class SparseSteps:
    """Arc by arc, hubs level by level."""

    def __init__(self, nodes: Nodes, device: torch.device, product: type[Product] = Product) -> None:
        emitting = np.arange(nodes.num_emitting)
        levels = [np.flatnonzero(nodes.hub_levels == level) for level in range(nodes.hub_levels.max(initial=-1) + 1)]
        self.hubs = [torch.from_numpy(level).to(device) for level in levels]
        self.num_emitting, self.num_hubs = nodes.num_emitting, nodes.num_nodes - nodes.num_emitting
        arriving, leaving = nodes.arriving_probs, nodes.leaving_probs
        self.to_hubs = [product(arriving, level, device) for level in levels]
        self.to_emitting = product(arriving, emitting, device)
        self.from_hubs = [product(leaving, level, device) for level in levels]
        self.from_emitting = product(leaving, emitting, device)
        self.labels = torch.from_numpy(nodes.columns[emitting]).to(device)
        initial, initial_shift = nodes.initial_probs
        last, last_shift = nodes.final_probs
        self.first = self.to_emitting(torch.from_numpy(initial).to(device).unsqueeze(1)).squeeze(1)
        self.last = torch.from_numpy(last[emitting]).to(device)
        self.shift = initial_shift + last_shift

    def forward(self, alphas: Tensor) -> Tensor:
        """What arrives at each node; see :class:`Steps`."""
        values = self._with_hubs(alphas)
        for hubs, product in zip(self.hubs, self.to_hubs):
            values[hubs] = product(values)
        return self.to_emitting(values)

    def backward(self, values: Tensor) -> Tensor:
        """What leaves each node; see :class:`Steps`."""
        values = self._with_hubs(values)
        for hubs, product in zip(reversed(self.hubs), reversed(self.from_hubs)):
            values[hubs] = product(values)
        return self.from_emitting(values)

    def _with_hubs(self, values: Tensor) -> Tensor:
        return torch.cat([values, values.new_zeros(self.num_hubs, values.shape[1])]) if self.num_hubs else values


class Sums:
    """A graph on a device, ready for utterances; see :data:`speechkit.graphs.forward_backward.KERNELS`."""

    def __init__(self, nodes: Nodes, device: torch.device) -> None:
        self.steps: Steps = SparseSteps(nodes, device)

    def __call__(self, probs: Tensor, lens: Tensor, precise: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Total scores, occupancies, and whether they are exact."""
        return sums_by_frames(self.steps, probs, lens)
