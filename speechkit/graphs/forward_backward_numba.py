"""Sums over the paths of one graph on the CPU: four utterances side by side, as many fours at once as threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit
from torch import Tensor

from speechkit.graphs.nodes import Nodes, Rows

LANES = 4  # utterances side by side: each weight is read once for all of them, and they fill a vector register
MEMORY = 128 << 20  # bytes of forward values that four utterances may keep; beyond, some are computed twice
TINY = 1e-290  # what is smaller counts as zero; computing with denormal numbers would be many times slower


class Sums:
    """A graph, ready for utterances; see :data:`speechkit.graphs.forward_backward.KERNELS`."""

    def __init__(self, nodes: Nodes, device: torch.device) -> None:
        self.num_nodes, self.num_emitting = nodes.num_nodes, nodes.num_emitting
        self.class_offsets = nodes.class_offsets
        self.arriving, self.leaving = nodes.arriving_probs, nodes.leaving_probs
        self.initial, initial_shift = nodes.initial_probs
        self.final, final_shift = nodes.final_probs
        self.shift = initial_shift + final_shift + np.log(self.initial.sum())

    def __call__(self, probs: Tensor, lens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Total scores, occupancies, and whether they are exact."""
        batch, num_frames, _ = probs.shape
        blocks = range(0, batch, LANES)
        totals, exact = np.zeros(len(blocks) * LANES), np.zeros(len(blocks) * LANES, dtype=bool)
        occupancies = torch.empty_like(probs)

        def one(first: int) -> None:
            few = slice(first, min(first + LANES, batch))
            lanes = np.zeros((num_frames, probs.shape[2], LANES))
            lanes[:, :, : few.stop - first] = probs[few].permute(1, 2, 0).numpy()
            block_lens = np.zeros(LANES, dtype=np.int64)
            block_lens[: few.stop - first] = lens[few].numpy()
            totals[first : first + LANES], exact[first : first + LANES] = self._four(lanes, block_lens)
            occupancies[few] = torch.from_numpy(lanes).permute(2, 0, 1)[: few.stop - first]

        threads = min(torch.get_num_threads(), len(blocks))
        if threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, blocks))
        else:
            list(map(one, blocks))
        return torch.from_numpy(totals[:batch]), occupancies, torch.from_numpy(exact[:batch])

    def _four(self, probs: np.ndarray, lens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of four utterances: probabilities (S, C, 4) in, which become occupancies; totals (4,) and exact (4,) out."""
        num_frames = len(probs)
        span = _span(num_frames, self.num_nodes)
        starts = range(0, num_frames, span)
        alphas = np.empty((span, self.num_nodes, LANES))
        here = np.repeat(self.initial[:, None], LANES, axis=1)
        log_scale = np.full(LANES, self.shift)
        checkpoints = []
        for start in starts:
            checkpoints.append(here)
            frames = probs[start : start + span]
            _forward(self.arriving, self.class_offsets, here, frames, alphas)
            here = alphas[len(frames) - 1].copy()
        betas = np.zeros((self.num_emitting, LANES))
        totals, exact = np.full(LANES, -np.inf), np.ones(LANES, dtype=bool)
        for start in reversed(starts):
            frames = probs[start : start + span]
            if start != starts[-1]:
                _forward(self.arriving, self.class_offsets, checkpoints[start // span], frames, alphas)
            _backward(
                self.leaving, self.class_offsets, self.final, alphas, frames, betas, lens - start, log_scale, totals, exact
            )
        return totals, exact


def _span(num_frames: int, num_nodes: int) -> int:
    """How many frames' forward values to keep: all, or so few that these and one for each span are fewest."""
    if num_frames * num_nodes * LANES * 8 <= MEMORY:
        return max(num_frames, 1)
    return int(np.ceil(np.sqrt(num_frames)))


@njit(inline="always", nogil=True, error_model="numpy", fastmath={"contract"})
def _sum_row(rows: Rows, n: int, values: np.ndarray) -> tuple[float, float, float, float]:
    """Sum of weight times value over the arcs of node n, for each lane."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for k in range(rows.offsets[n], rows.offsets[n + 1]):
        weight, value = rows.weights[k], values[rows.nodes[k]]
        a += weight * value[0]
        b += weight * value[1]
        c += weight * value[2]
        d += weight * value[3]
    return a, b, c, d


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(
    arriving: Rows, class_offsets: np.ndarray, before: np.ndarray, probs: np.ndarray, alphas: np.ndarray
) -> None:
    """Forward values of some frames from those ``before`` (N, 4) them, each frame scaled by the sum of the one before."""
    num_nodes, num_classes = before.shape[0], len(class_offsets) - 1
    total, scale = np.zeros(LANES), np.zeros(LANES)
    for n in range(num_nodes):
        for lane in range(LANES):
            total[lane] += before[n, lane]
    for t in range(len(probs)):
        now = alphas[t]
        for lane in range(LANES):
            scale[lane] = 1.0 / total[lane] if total[lane] > 0 else 0.0
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for c in range(num_classes):
            p0, p1, p2, p3 = probs[t, c, 0] * scale[0], probs[t, c, 1] * scale[1], probs[t, c, 2] * scale[2], probs[t, c, 3] * scale[3]
            for n in range(class_offsets[c], class_offsets[c + 1]):
                a0, a1, a2, a3 = _sum_row(arriving, n, before)
                a0, a1, a2, a3 = _chopped(a0 * p0), _chopped(a1 * p1), _chopped(a2 * p2), _chopped(a3 * p3)
                now[n, 0], now[n, 1], now[n, 2], now[n, 3] = a0, a1, a2, a3
                s0, s1, s2, s3 = s0 + a0, s1 + a1, s2 + a2, s3 + a3
        total[0], total[1], total[2], total[3] = s0, s1, s2, s3
        for n in range(class_offsets[num_classes], num_nodes):
            now[n, 0], now[n, 1], now[n, 2], now[n, 3] = _sum_row(arriving, n, now)
        before = now


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(
    leaving: Rows,
    class_offsets: np.ndarray,
    final: np.ndarray,
    alphas: np.ndarray,
    probs: np.ndarray,
    betas: np.ndarray,
    lens: np.ndarray,
    log_scale: np.ndarray,
    totals: np.ndarray,
    exact: np.ndarray,
) -> None:
    """Backward values (E, 4) from the last of some frames to the one before the first; ``probs`` become occupancies."""
    num_classes, num_emitting, num_nodes = len(class_offsets) - 1, len(betas), len(leaving.offsets) - 1
    values = np.empty((num_nodes, LANES))
    sums, scale = np.empty((3, LANES)), np.empty(LANES)
    for t in range(len(probs) - 1, -1, -1):
        for lane in range(LANES):
            if lens[lane] == t + 1:
                betas[:, lane] = final[:num_emitting]
        _meet(class_offsets, alphas[t], betas, probs[t], values, sums)
        for lane in range(LANES):
            joint, alpha, beta = sums[0, lane], sums[1, lane], sums[2, lane]
            if t >= lens[lane]:
                scale[lane] = 0.0
                continue
            # Nothing that counted as zero could have changed the result.
            exact[lane] &= joint > 1e40 * TINY * max(alpha, beta)
            totals[lane] = np.log(joint) + log_scale[lane]
            log_scale[lane] += np.log(beta)
            scale[lane] = 1.0 / beta if beta > 0 else 0.0
            for c in range(num_classes):
                probs[t, c, lane] = probs[t, c, lane] / joint if joint > 0 else 0.0
        for n in range(num_emitting):
            for lane in range(LANES):
                values[n, lane] = _chopped(values[n, lane] * scale[lane])
        for n in range(num_nodes - 1, num_emitting - 1, -1):
            values[n, 0], values[n, 1], values[n, 2], values[n, 3] = _sum_row(leaving, n, values)
        for n in range(num_emitting):
            betas[n, 0], betas[n, 1], betas[n, 2], betas[n, 3] = _sum_row(leaving, n, values)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _meet(
    class_offsets: np.ndarray,
    alphas: np.ndarray,
    betas: np.ndarray,
    probs: np.ndarray,
    values: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Where a frame's forward and backward values meet: ``values`` are backward values times probabilities, ``sums`` (3, 4)
    those of alpha times beta, alpha, and beta, and ``probs`` (C, 4) becomes the first of these for each class."""
    sums[:] = 0.0
    for c in range(len(class_offsets) - 1):
        p0, p1, p2, p3 = probs[c, 0], probs[c, 1], probs[c, 2], probs[c, 3]
        j0, j1, j2, j3 = 0.0, 0.0, 0.0, 0.0
        a0, a1, a2, a3 = 0.0, 0.0, 0.0, 0.0
        b0, b1, b2, b3 = 0.0, 0.0, 0.0, 0.0
        for n in range(class_offsets[c], class_offsets[c + 1]):
            alpha, beta, value = alphas[n], betas[n], values[n]
            j0, j1, j2, j3 = j0 + alpha[0] * beta[0], j1 + alpha[1] * beta[1], j2 + alpha[2] * beta[2], j3 + alpha[3] * beta[3]
            a0, a1, a2, a3 = a0 + alpha[0], a1 + alpha[1], a2 + alpha[2], a3 + alpha[3]
            b0, b1, b2, b3 = b0 + beta[0], b1 + beta[1], b2 + beta[2], b3 + beta[3]
            value[0], value[1], value[2], value[3] = beta[0] * p0, beta[1] * p1, beta[2] * p2, beta[3] * p3
        for lane, joint, alpha_sum, beta_sum in ((0, j0, a0, b0), (1, j1, a1, b1), (2, j2, a2, b2), (3, j3, a3, b3)):
            probs[c, lane] = joint
            sums[0, lane] += joint
            sums[1, lane] += alpha_sum
            sums[2, lane] += beta_sum


@njit(cache=True, nogil=True, error_model="numpy")
def _chopped(value: float) -> float:
    return value if value > TINY else 0.0
