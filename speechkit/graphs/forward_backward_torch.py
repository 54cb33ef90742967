"""Sums over the paths of one graph in plain torch, on any device: a loop over frames, each a sparse matrix product."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.graphs.nodes import Nodes, Rows

LEAST = 1e-300  # in place of 0 as a divisor
SMALL = 1e-50  # a frame's sum below which what was lost to underflow may count
NEGLIGIBLE = 1e-240  # a sum of products of scaled values below which it may count


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
    batch, num_frames, _ = probs.shape
    frames = probs.permute(1, 2, 0).contiguous()  # (S, C, B)
    alphas = frames.new_empty(num_frames, len(steps.labels), batch)
    sums = frames.new_ones(2, num_frames + 1, batch)
    values = steps.first.unsqueeze(1).expand(-1, batch)
    one_each = torch.equal(steps.labels, torch.arange(frames.shape[1], device=frames.device))  # a node for each class

    def at_nodes(frame: Tensor) -> Tensor:
        return frame if one_each else frame.index_select(0, steps.labels)

    rows = list(zip(frames.unbind(), alphas.unbind(), sums[0].unbind(), sums[1].unbind()))  # views, made once
    for t, (frame, alpha, total, _) in enumerate(rows):
        torch.mul(at_nodes(frame), values, out=alpha)
        alpha.div_(torch.sum(alpha, 0, out=total).clamp_(min=LEAST))
        values = steps.forward(alpha) if t + 1 < num_frames else values
    inside = torch.arange(num_frames, device=lens.device).unsqueeze(1) < lens  # (S, B)
    at_end = alphas.permute(0, 2, 1)[lens - 1, torch.arange(batch, device=lens.device)] if num_frames else alphas.sum(0).T
    totals = (sums[0, :-1].log() * inside).sum(0) + (at_end @ steps.last).log() + steps.shift

    beta, last = torch.zeros_like(values), steps.last.unsqueeze(1)
    ends = set(lens.tolist())
    for t, (frame, alpha, _, total) in reversed(list(enumerate(rows))):
        if t + 1 in ends:
            beta = torch.where(lens == t + 1, last / last.sum(), beta)
        alpha.mul_(beta)
        if t > 0:
            beta = steps.backward(beta.mul(at_nodes(frame)))
            beta.div_(torch.sum(beta, 0, out=total).clamp_(min=LEAST))
    joint = alphas.sum(1)
    # Nothing that was too small a number could have changed the result.
    exact = ((joint > NEGLIGIBLE) & (sums[:, :-1] > SMALL).all(0) | ~inside).all(0)
    occupancies = alphas.div_(joint.clamp_(min=LEAST).unsqueeze(1))
    if not one_each:
        occupancies = torch.zeros_like(frames).index_add_(1, steps.labels, occupancies)
    return totals, occupancies.permute(2, 0, 1), exact


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
