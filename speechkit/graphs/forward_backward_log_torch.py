"""Sums over the paths of a graph for each utterance with logarithms, in plain torch, on any device: all graphs at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from speechkit.graphs.label_graph import LabelGraphs
from speechkit.graphs.nodes import Rows


class _Product:
    """For some nodes LSE of weight plus value over their arcs."""

    def __init__(self, rows: Rows, nodes: np.ndarray, device: torch.device) -> None:
        counts = np.diff(rows.offsets)[nodes]
        begins = rows.offsets[nodes] - np.concatenate([[0], np.cumsum(counts)[:-1]])
        arcs = np.arange(counts.sum()) + np.repeat(begins, counts)
        self.num_rows = len(nodes)
        self.rows = torch.from_numpy(np.repeat(np.arange(len(nodes)), counts)).to(device)
        self.others = torch.from_numpy(rows.nodes[arcs].astype(np.int64)).to(device)
        self.weights = torch.from_numpy(rows.weights[arcs]).to(device)

    def __call__(self, values: Tensor) -> Tensor:
        """(N,) values of all nodes in, one number for each of the nodes out."""
        return log_sum(self.weights + values[self.others], self.rows, self.num_rows)


def log_sum(values: Tensor, rows: Tensor, num_rows: int) -> Tensor:
    """LSE of the values of each row; ``-inf`` for a row without any."""
    highest = values.new_full((num_rows,), -torch.inf).scatter_reduce_(0, rows, values, "amax")
    base = highest.masked_fill(highest == -torch.inf, 0.0)
    return base + values.new_zeros(num_rows).index_add_(0, rows, (values - base[rows]).exp_()).log_()


def log_sums(graphs: LabelGraphs, scores: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """Total scores (B,) and occupancies (B, S, V), float64; arguments as for ``sums_of_each``."""
    device, (batch, num_frames, size) = scores.device, scores.shape
    emits = np.flatnonzero(graphs.labels >= 0)
    owners = np.repeat(np.arange(batch), np.diff(graphs.spans, axis=1)[:, 0])[emits]
    owner, label, emitting = (torch.from_numpy(each).to(device) for each in (owners, graphs.labels[emits], emits))
    levels = [np.flatnonzero(graphs.hub_levels == level) for level in range(graphs.hub_levels.max(initial=-1) + 1)]
    hubs = [torch.from_numpy(level).to(device) for level in levels]
    forward = [_Product(graphs.arriving, level, device) for level in [emits, *levels]]
    backward = [_Product(graphs.leaving, level, device) for level in [emits, *levels]]

    inside = lens[owner]
    frames = scores.detach().double().transpose(0, 1)
    values = torch.from_numpy(graphs.initial).to(device)
    alphas = []
    for t in range(num_frames):
        arrived = forward[0](values) + frames[t, owner, label]
        alphas.append(arrived.masked_fill_(inside <= t, -torch.inf))
        values = torch.full_like(values, -torch.inf).index_copy_(0, emitting, arrived)
        for nodes, product in zip(hubs, forward[1:]):
            values[nodes] = product(values)
    final = torch.from_numpy(graphs.final[emits]).to(device)
    betas = torch.full_like(final, -torch.inf)
    totals, occupancies = None, torch.zeros(num_frames, batch * size, dtype=torch.float64, device=device)
    for t in range(num_frames - 1, -1, -1):
        betas = final.where(inside == t + 1, betas)
        joint = alphas[t] + betas
        totals = log_sum(joint, owner, batch)
        share = (joint - totals[owner]).masked_fill_((joint == -torch.inf), -torch.inf).exp_()
        occupancies[t].index_add_(0, owner * size + label, share)
        values = torch.full_like(values, -torch.inf).index_copy_(0, emitting, frames[t, owner, label] + betas)
        for nodes, product in zip(reversed(hubs), reversed(backward[1:])):
            values[nodes] = product(values)
        betas = backward[0](values)
    if totals is None:
        totals = torch.full((batch,), -torch.inf, dtype=torch.float64, device=device)
    return totals, occupancies.view(num_frames, batch, size).transpose(0, 1)
