"""The recursions over a graph as one full matrix, for four utterances side by side; see ``forward_backward_numba``."""

from __future__ import annotations

import numpy as np
from numba import njit

from speechkit.graphs.forward_backward_nodes import LANES, State, chopped, meet
from speechkit.graphs.nodes import Nodes


class ByMatrix:
    """A graph in which nearly every node leads to every other, over hubs or not."""

    loose = np.float32

    def __init__(self, nodes: Nodes) -> None:
        matrix, first = passing_probs(nodes)
        self.num_kept = self.num_betas = nodes.num_emitting
        self.class_offsets = nodes.class_offsets
        # Paths begin in a node of their own, the last one, to which none leads.
        self.arriving, self.leaving = np.vstack([matrix, first]), np.ascontiguousarray(matrix.T)
        self.initial = np.zeros(nodes.num_emitting + 1)
        self.initial[-1] = 1.0
        self.final, final_shift = nodes.final_probs
        self.shift = nodes.initial_probs[1] + final_shift

    def forward(self, values: np.ndarray, probs: np.ndarray, alphas: np.ndarray) -> None:
        """See :class:`speechkit.graphs.forward_backward_numba.Form`."""
        _forward(self.arriving, self.class_offsets, values, probs, alphas)

    def backward(
        self, alphas: np.ndarray, probs: np.ndarray, lens: np.ndarray, slack: float, room: np.ndarray, state: State
    ) -> None:
        """See :class:`speechkit.graphs.forward_backward_numba.Form`."""
        _backward(self.leaving, self.class_offsets, self.final, alphas, probs, lens, slack, room, state)


def passing_probs(nodes: Nodes) -> tuple[np.ndarray, np.ndarray]:
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


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _product(values: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """``out`` (4, M) = transposed ``values`` (K, 4) times ``matrix`` (K, M)."""
    out[:] = 0.0
    whole = len(matrix) // 4 * 4
    # Four rows for two lanes at a time: as many as registers hold, so that sums are seldom loaded and stored.
    for k in range(0, whole, 4):
        for lane in range(0, LANES, 2):
            one, two = out[lane], out[lane + 1]
            a0, a1, a2, a3 = values[k, lane], values[k + 1, lane], values[k + 2, lane], values[k + 3, lane]
            b0, b1 = values[k, lane + 1], values[k + 1, lane + 1]
            b2, b3 = values[k + 2, lane + 1], values[k + 3, lane + 1]
            for m in range(matrix.shape[1]):
                w0, w1, w2, w3 = matrix[k, m], matrix[k + 1, m], matrix[k + 2, m], matrix[k + 3, m]
                one[m] = one[m] + a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
                two[m] = two[m] + b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
    for k in range(whole, len(matrix)):
        for lane in range(LANES):
            for m in range(matrix.shape[1]):
                out[lane, m] += values[k, lane] * matrix[k, m]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(matrix: np.ndarray, class_offsets: np.ndarray, values: np.ndarray, probs: np.ndarray, alphas: np.ndarray) -> None:
    """Forward values of some frames, each scaled by the sum of the one before; ``values[0]`` (E + 1, 4) are those before
    the frames, and in the end those of the last one."""
    before, arrived, scale = values[0], np.empty((LANES, matrix.shape[1])), np.empty(LANES)
    sums = before.sum(0)
    for t in range(len(probs)):
        _product(before, matrix, arrived)
        for lane in range(LANES):
            scale[lane] = 1.0 / sums[lane] if sums[lane] > 0 else 0.0
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for c in range(len(class_offsets) - 1):
            p0, p1 = probs[t, c, 0] * scale[0], probs[t, c, 1] * scale[1]
            p2, p3 = probs[t, c, 2] * scale[2], probs[t, c, 3] * scale[3]
            for n in range(class_offsets[c], class_offsets[c + 1]):
                a0, a1 = chopped(arrived[0, n] * p0), chopped(arrived[1, n] * p1)
                a2, a3 = chopped(arrived[2, n] * p2), chopped(arrived[3, n] * p3)
                before[n, 0], before[n, 1], before[n, 2], before[n, 3] = a0, a1, a2, a3
                alphas[t, n, 0], alphas[t, n, 1], alphas[t, n, 2], alphas[t, n, 3] = a0, a1, a2, a3
                s0, s1, s2, s3 = s0 + a0, s1 + a1, s2 + a2, s3 + a3
        sums[0], sums[1], sums[2], sums[3] = s0, s1, s2, s3
        before[-1] = 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(
    matrix: np.ndarray,
    class_offsets: np.ndarray,
    final: np.ndarray,
    alphas: np.ndarray,
    probs: np.ndarray,
    lens: np.ndarray,
    slack: float,
    values: np.ndarray,
    state: State,
) -> None:
    """Backward values from the last of some frames to the one before the first; ``probs`` become occupancies."""
    left, betas, sums = np.empty((LANES, len(matrix))), state.betas, state.sums
    for t in range(len(probs) - 1, -1, -1):
        meet(class_offsets, final, alphas[t], probs[t], lens - t, slack, values, state)
        _product(values, matrix, left)
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for n in range(len(betas)):
            b0, b1, b2, b3 = left[0, n], left[1, n], left[2, n], left[3, n]
            betas[n, 0], betas[n, 1], betas[n, 2], betas[n, 3] = b0, b1, b2, b3
            s0, s1, s2, s3 = s0 + b0, s1 + b1, s2 + b2, s3 + b3
        sums[0], sums[1], sums[2], sums[3] = s0, s1, s2, s3
