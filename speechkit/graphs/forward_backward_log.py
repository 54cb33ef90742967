"""Sums over the paths of graphs with logarithms, node by node: slower than with probabilities, but right for any scores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from speechkit.graphs.label_graph import LabelGraphs
from speechkit.graphs.nodes import Nodes, Rows


def log_sums(nodes: Nodes, scores: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """Total scores (B,) and occupancies (B, S, C) of one graph, float64, on the device of the scores.

    Args:
        nodes: The graph.
        scores: (B, S, C) log-scores (nats) of the classes that the graph has, none of them NaN or ``+inf``.
        lens: (B,) int64 frames; the total of none is ``-inf``.
    """
    spans = np.array([[0, nodes.num_nodes]]).repeat(len(lens), axis=0)
    return _sums(_Arrays(nodes.columns, nodes.arriving, nodes.leaving, nodes.initial, nodes.final), spans, scores, lens)


def log_sums_of_each(graphs: LabelGraphs, scores: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """Total scores (B,) and occupancies (B, S, V) of a graph for each utterance; as for :func:`log_sums`."""
    arrays = _Arrays(graphs.labels, graphs.arriving, graphs.leaving, graphs.initial, graphs.final)
    return _sums(arrays, graphs.spans, scores, lens)


class _Arrays(NamedTuple):
    """One or more graphs; see :class:`speechkit.graphs.label_graph.LabelGraphs`."""

    columns: np.ndarray  # (N,) of the scores; -1 for hubs
    arriving: Rows
    leaving: Rows
    initial: np.ndarray
    final: np.ndarray


def _sums(graphs: _Arrays, spans: np.ndarray, scores: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    values = scores.detach().to("cpu", torch.float64).numpy()
    totals, occupancies, lengths = np.empty(len(values)), np.zeros_like(values), lens.tolist()

    def one(b: int) -> None:
        frames = slice(0, lengths[b])
        totals[b] = _one(graphs, *spans[b], values[b, frames], occupancies[b, frames])

    threads = min(torch.get_num_threads(), len(values))
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(len(values))))
    else:
        list(map(one, range(len(values))))
    return torch.from_numpy(totals).to(scores.device), torch.from_numpy(occupancies).to(scores.device)


@njit(cache=True, nogil=True, error_model="numpy")
def _one(graphs: _Arrays, first: int, last: int, scores: np.ndarray, occupancies: np.ndarray) -> float:
    """The total of one utterance, whose graph has the nodes from ``first`` to before ``last``; adds its occupancies (S, C)."""
    columns, arriving, leaving, initial, final = graphs
    num_frames, hubs = len(scores), first
    if num_frames == 0:
        return -np.inf
    while hubs < last and columns[hubs] >= 0:
        hubs += 1
    alphas = np.empty((num_frames, last - first))
    before = initial[first:last]
    for t in range(num_frames):
        now = alphas[t]
        for n in range(first, hubs):
            now[n - first] = scores[t, columns[n]] + _log_sum(arriving, n, before, first)
        for n in range(hubs, last):
            now[n - first] = _log_sum(arriving, n, now, first)
        before = now
    betas, values = final[first:last].copy(), np.empty(last - first)
    highest, total = -np.inf, 0.0
    for n in range(first, hubs):
        highest = max(highest, before[n - first] + betas[n - first])
    if not highest > -np.inf:
        return highest
    for n in range(first, hubs):
        total += np.exp(before[n - first] + betas[n - first] - highest)
    total = highest + np.log(total)
    for t in range(num_frames - 1, -1, -1):
        for n in range(first, hubs):
            occupancies[t, columns[n]] += np.exp(alphas[t, n - first] + betas[n - first] - total)
            values[n - first] = scores[t, columns[n]] + betas[n - first]
        for n in range(last - 1, hubs - 1, -1):
            values[n - first] = _log_sum(leaving, n, values, first)
        for n in range(first, hubs):
            betas[n - first] = _log_sum(leaving, n, values, first)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _log_sum(rows: Rows, n: int, values: np.ndarray, first: int) -> float:
    """LSE of weight plus value over the arcs of node n; ``values`` begins with node ``first``."""
    begin, end = rows.offsets[n], rows.offsets[n + 1]
    highest = -np.inf
    for k in range(begin, end):
        highest = max(highest, rows.weights[k] + values[rows.nodes[k] - first])
    if end - begin == 1 or highest == -np.inf:
        return highest
    total = 0.0
    for k in range(begin, end):
        total += np.exp(rows.weights[k] + values[rows.nodes[k] - first] - highest)
    return highest + np.log(total)
