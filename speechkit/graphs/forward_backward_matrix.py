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
    one, two, three, four = out[0], out[1], out[2], out[3]
    out[:] = 0.0
    for k in range(len(matrix)):
        a, b, c, d = values[k, 0], values[k, 1], values[k, 2], values[k, 3]
        row = matrix[k]
        for m in range(len(row)):
            one[m] += a * row[m]
            two[m] += b * row[m]
            three[m] += c * row[m]
            four[m] += d * row[m]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(matrix: np.ndarray, class_offsets: np.ndarray, values: np.ndarray, probs: np.ndarray, alphas: np.ndarray) -> None:
    """Forward values of some frames, each scaled by the sum of the one before; ``values[0]`` (E + 1, 4) are those before
    the frames, and in the end those of the last one."""
    num_emitting = matrix.shape[1]
    before, arrived, sums = values[0], np.empty((LANES, num_emitting)), np.empty(LANES)
    for t in range(len(probs)):
        for lane in range(LANES):
            sums[lane] = before[:, lane].sum()
        _product(before, matrix, arrived)
        for lane in range(LANES):
            scale = 1.0 / sums[lane] if sums[lane] > 0 else 0.0
            for c in range(len(class_offsets) - 1):
                factor = probs[t, c, lane] * scale
                for n in range(class_offsets[c], class_offsets[c + 1]):
                    before[n, lane] = chopped(arrived[lane, n] * factor)
                    alphas[t, n, lane] = before[n, lane]
            before[num_emitting, lane] = 0.0


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
    left = np.empty((LANES, len(matrix)))
    for t in range(len(probs) - 1, -1, -1):
        meet(class_offsets, final, alphas[t], probs[t], lens - t, slack, values, state)
        _product(values, matrix, left)
        for lane in range(LANES):
            state.betas[:, lane] = left[lane]
            state.sums[lane] = left[lane].sum()
