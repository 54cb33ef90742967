"""The recursions over a graph node by node, for four utterances side by side; see ``forward_backward_numba``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from speechkit.graphs.nodes import Nodes, Rows

LANES = 4  # utterances side by side: each weight is read once for all of them, and they fill a vector register
TINY = 1e-290  # what is smaller counts as zero; computing with denormal numbers would be many times slower


class State(NamedTuple):
    """What goes on from frame to frame backwards, and what is found."""

    betas: np.ndarray  # (E, 4) of the frame, before scaling
    sums: np.ndarray  # (4,) of these
    log_scale: np.ndarray  # (4,) logarithms of what values were scaled with
    totals: np.ndarray  # (4,) nats
    exact: np.ndarray  # (4,) bool

    @staticmethod
    def new(num_betas: int, shift: float) -> State:
        """Before the first frame."""
        zeros = np.zeros((num_betas, LANES)), np.zeros(LANES)
        return State(*zeros, np.full(LANES, shift), np.full(LANES, -np.inf), np.ones(LANES, dtype=bool))


class ByNodes:
    """A graph in which an arc's label is that of the node that it enters."""

    loose = np.float32

    def __init__(self, nodes: Nodes) -> None:
        self.num_kept = self.num_betas = nodes.num_emitting
        self.class_offsets = nodes.class_offsets
        self.arriving, self.leaving = nodes.arriving_probs, nodes.leaving_probs
        self.initial, initial_shift = nodes.initial_probs
        self.final, final_shift = nodes.final_probs
        self.shift = initial_shift + final_shift + float(np.log(self.initial.sum()))

    def forward(self, values: np.ndarray, probs: np.ndarray, alphas: np.ndarray) -> None:
        """See :class:`speechkit.graphs.forward_backward_numba.Form`."""
        _forward(self.arriving, self.class_offsets, values, probs, alphas)

    def backward(
        self, alphas: np.ndarray, probs: np.ndarray, lens: np.ndarray, slack: float, room: np.ndarray, state: State
    ) -> None:
        """See :class:`speechkit.graphs.forward_backward_numba.Form`."""
        _backward(self.leaving, self.class_offsets, self.final, alphas, probs, lens, slack, room, state)


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
def _forward(arriving: Rows, class_offsets: np.ndarray, values: np.ndarray, probs: np.ndarray, alphas: np.ndarray) -> None:
    """Forward values of some frames, each scaled by the sum of the one before; ``values[0]`` (N, 4) are those before the
    frames, and in the end those of the last one."""
    num_nodes, num_classes = values.shape[1], len(class_offsets) - 1
    sums, scale = np.zeros(LANES), np.zeros(LANES)
    for n in range(num_nodes):
        for lane in range(LANES):
            sums[lane] += values[0, n, lane]
    for t in range(len(probs)):
        before, now, kept = values[t % 2], values[1 - t % 2], alphas[t]
        for lane in range(LANES):
            scale[lane] = 1.0 / sums[lane] if sums[lane] > 0 else 0.0
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for c in range(num_classes):
            p0, p1 = probs[t, c, 0] * scale[0], probs[t, c, 1] * scale[1]
            p2, p3 = probs[t, c, 2] * scale[2], probs[t, c, 3] * scale[3]
            for n in range(class_offsets[c], class_offsets[c + 1]):
                a0, a1, a2, a3 = _sum_row(arriving, n, before)
                a0, a1, a2, a3 = chopped(a0 * p0), chopped(a1 * p1), chopped(a2 * p2), chopped(a3 * p3)
                now[n, 0], now[n, 1], now[n, 2], now[n, 3] = a0, a1, a2, a3
                kept[n, 0], kept[n, 1], kept[n, 2], kept[n, 3] = a0, a1, a2, a3
                s0, s1, s2, s3 = s0 + a0, s1 + a1, s2 + a2, s3 + a3
        sums[0], sums[1], sums[2], sums[3] = s0, s1, s2, s3
        for n in range(class_offsets[num_classes], num_nodes):
            now[n, 0], now[n, 1], now[n, 2], now[n, 3] = _sum_row(arriving, n, now)
    if len(probs) % 2:
        values[0] = values[1]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(
    leaving: Rows,
    class_offsets: np.ndarray,
    final: np.ndarray,
    alphas: np.ndarray,
    probs: np.ndarray,
    lens: np.ndarray,
    slack: float,
    values: np.ndarray,
    state: State,
) -> None:
    """Backward values from the last of some frames to the one before the first; ``probs`` become occupancies.

    ``values`` (N, 4) are for what leads to a node: its backward value, times the probability of its label where it emits.
    """
    betas, sums = state.betas, state.sums
    num_emitting, num_nodes = len(betas), len(values)
    for t in range(len(probs) - 1, -1, -1):
        meet(class_offsets, final, alphas[t], probs[t], lens - t, slack, values, state)
        for n in range(num_nodes - 1, num_emitting - 1, -1):
            values[n, 0], values[n, 1], values[n, 2], values[n, 3] = _sum_row(leaving, n, values)
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for n in range(num_emitting):
            b0, b1, b2, b3 = _sum_row(leaving, n, values)
            betas[n, 0], betas[n, 1], betas[n, 2], betas[n, 3] = b0, b1, b2, b3
            s0, s1, s2, s3 = s0 + b0, s1 + b1, s2 + b2, s3 + b3
        sums[0], sums[1], sums[2], sums[3] = s0, s1, s2, s3


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def meet(
    class_offsets: np.ndarray,
    final: np.ndarray,
    alphas: np.ndarray,
    probs: np.ndarray,
    lens: np.ndarray,
    slack: float,
    values: np.ndarray,
    state: State,
) -> None:
    """A frame's forward and backward values meet: its ``probs`` (C, 4) become occupancies, and ``values`` scaled backward
    values times probabilities. ``lens`` (4,) are counted from this frame."""
    betas, sums, log_scale, totals, exact = state
    num_emitting = len(betas)
    joint, alpha_sums, scale = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for lane in range(LANES):
        if lens[lane] == 1:
            betas[:, lane] = final[:num_emitting]
            sums[lane] = final[:num_emitting].sum()
        scale[lane] = 1.0 / sums[lane] if sums[lane] > 0 else 0.0
    _multiply(class_offsets, alphas, betas, probs, values, scale, joint, alpha_sums)
    for lane in range(LANES):
        if lens[lane] > 0:
            # Nothing that counted as zero could have changed the result.
            exact[lane] &= joint[lane] > slack * max(alpha_sums[lane], sums[lane])
            totals[lane] = np.log(joint[lane]) + log_scale[lane]
            log_scale[lane] += np.log(sums[lane])
        joint[lane] = 1.0 / joint[lane] if joint[lane] > 0 else 0.0
    for c in range(len(probs)):
        for lane in range(LANES):
            probs[c, lane] *= joint[lane]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _multiply(
    class_offsets: np.ndarray,
    alphas: np.ndarray,
    betas: np.ndarray,
    probs: np.ndarray,
    values: np.ndarray,
    scale: np.ndarray,
    joint: np.ndarray,
    alpha_sums: np.ndarray,
) -> None:
    """``values`` become scaled backward values times probabilities, ``joint`` the sums of alpha times beta, and ``probs``
    (C, 4) these for each class."""
    joint[:], alpha_sums[:] = 0.0, 0.0
    for c in range(len(class_offsets) - 1):
        p0, p1 = probs[c, 0] * scale[0], probs[c, 1] * scale[1]
        p2, p3 = probs[c, 2] * scale[2], probs[c, 3] * scale[3]
        j0, j1, j2, j3 = 0.0, 0.0, 0.0, 0.0
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for n in range(class_offsets[c], class_offsets[c + 1]):
            alpha, beta, value = alphas[n], betas[n], values[n]
            a0, a1, a2, a3 = np.float64(alpha[0]), np.float64(alpha[1]), np.float64(alpha[2]), np.float64(alpha[3])
            j0, j1, j2, j3 = j0 + a0 * beta[0], j1 + a1 * beta[1], j2 + a2 * beta[2], j3 + a3 * beta[3]
            s0, s1, s2, s3 = s0 + a0, s1 + a1, s2 + a2, s3 + a3
            value[0], value[1] = chopped(beta[0] * p0), chopped(beta[1] * p1)
            value[2], value[3] = chopped(beta[2] * p2), chopped(beta[3] * p3)
        probs[c, 0], probs[c, 1], probs[c, 2], probs[c, 3] = j0, j1, j2, j3
        for lane, both, alpha_sum in ((0, j0, s0), (1, j1, s1), (2, j2, s2), (3, j3, s3)):
            joint[lane] += both
            alpha_sums[lane] += alpha_sum


@njit(inline="always", nogil=True, error_model="numpy")
def chopped(value: float) -> float:
    """The value, or zero where it is tiny."""
    return value if value > TINY else 0.0
