"""The recursions over a graph arc by arc, for four utterances side by side; see ``forward_backward_numba``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from speechkit.graphs.forward_backward_nodes import LANES, State, chopped
from speechkit.graphs.graph import EPSILON, Graph
from speechkit.graphs.nodes import Rows, carried, sorted_arcs


class _Arcs(NamedTuple):
    """Arcs with labels, and those without, by the state at one end."""

    offsets: np.ndarray  # (Q + 1,)
    states: np.ndarray  # (A,) at the other end
    columns: np.ndarray  # (A,) of the label
    weights: np.ndarray  # (A,)
    epsilon: Rows


class ByArcs:
    """A graph whose states are entered with different labels; they are sorted so that epsilon arcs lead to later ones."""

    loose = np.float64  # there are fewer states than arcs by far, and a second type takes seconds to compile

    def __init__(self, graph: Graph, classes: np.ndarray) -> None:
        size, place = graph.num_states, np.argsort(np.argsort(graph.epsilon_ranks, kind="stable"))
        sources, targets, emits = place[graph.sources], place[graph.targets], graph.labels != EPSILON
        columns = np.searchsorted(classes, graph.labels)
        rows = sorted_arcs(size, sources[~emits], targets[~emits], graph.weights[~emits])
        weights = np.empty((2, size))
        weights[:, place] = graph.initial, graph.final
        initial, final, _ = carried(np.full(size, EPSILON), *rows, *weights)
        self.shift = float(initial.max() + final.max())
        self.initial, self.final = np.exp(initial - initial.max()), np.exp(final - final.max())
        self.num_kept = self.num_betas = size
        self.arriving, self.leaving = (
            _arcs(size, here[emits], there[emits], columns[emits], np.exp(graph.weights[emits]), epsilon)
            for here, there, epsilon in ((targets, sources, rows[0]), (sources, targets, rows[1]))
        )

    def forward(self, values: np.ndarray, probs: np.ndarray, alphas: np.ndarray) -> None:
        """See :class:`speechkit.graphs.forward_backward_numba.Form`; what is kept are the values before each frame."""
        _forward(self.arriving, values, probs, alphas)

    def backward(
        self, alphas: np.ndarray, probs: np.ndarray, lens: np.ndarray, slack: float, room: np.ndarray, state: State
    ) -> None:
        """See :class:`speechkit.graphs.forward_backward_numba.Form`."""
        _backward(self.leaving, self.final, alphas, probs, lens, slack, room, state)


def _arcs(
    size: int, here: np.ndarray, there: np.ndarray, columns: np.ndarray, weights: np.ndarray, epsilon: Rows
) -> _Arcs:
    order = np.lexsort((there, here))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(here, minlength=size))]).astype(np.int64)
    arrays = there[order].astype(np.int32), columns[order].astype(np.int32), weights[order]
    return _Arcs(offsets, *arrays, epsilon._replace(weights=np.exp(epsilon.weights)))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(arcs: _Arcs, values: np.ndarray, probs: np.ndarray, alphas: np.ndarray) -> None:
    offsets, states, columns, weights, epsilon = arcs
    num_states = values.shape[1]
    sums = np.empty(LANES)
    for t in range(len(probs)):
        before, now, kept, frame = values[t % 2], values[1 - t % 2], alphas[t], probs[t]
        sums[:] = 0.0
        for q in range(num_states):
            for lane in range(LANES):
                kept[q, lane] = before[q, lane]
                sums[lane] += before[q, lane]
        for lane in range(LANES):
            sums[lane] = 1.0 / sums[lane] if sums[lane] > 0 else 0.0
        for q in range(num_states):
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            for k in range(offsets[q], offsets[q + 1]):
                weight, value, prob = weights[k], before[states[k]], frame[columns[k]]
                a += weight * value[0] * prob[0]
                b += weight * value[1] * prob[1]
                c += weight * value[2] * prob[2]
                d += weight * value[3] * prob[3]
            a, b, c, d = a * sums[0], b * sums[1], c * sums[2], d * sums[3]
            for k in range(epsilon.offsets[q], epsilon.offsets[q + 1]):
                weight, value = epsilon.weights[k], now[epsilon.nodes[k]]
                a, b, c, d = a + weight * value[0], b + weight * value[1], c + weight * value[2], d + weight * value[3]
            now[q, 0], now[q, 1], now[q, 2], now[q, 3] = chopped(a), chopped(b), chopped(c), chopped(d)
    if len(probs) % 2:
        values[0] = values[1]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(
    arcs: _Arcs,
    final: np.ndarray,
    alphas: np.ndarray,
    probs: np.ndarray,
    lens: np.ndarray,
    slack: float,
    values: np.ndarray,
    state: State,
) -> None:
    """Backward values from the last of some frames to the one before the first; ``probs`` become occupancies."""
    betas, sums, log_scale, totals, exact = state
    num_classes, num_states = probs.shape[1], len(betas)
    joint, alpha_sums, beta_sums = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    used = np.empty((num_classes, LANES))
    for t in range(len(probs) - 1, -1, -1):
        for lane in range(LANES):
            if lens[lane] == t + 1:
                betas[:, lane] = final
                sums[lane] = final.sum()
            beta_sums[lane] = sums[lane]
            scale = 1.0 / sums[lane] if sums[lane] > 0 else 0.0
            for c in range(num_classes):
                probs[t, c, lane] *= scale
        used[:], sums[:], alpha_sums[:] = 0.0, 0.0, 0.0
        _step_back(arcs, betas, probs[t], alphas[t], values, used)
        for q in range(num_states):
            for lane in range(LANES):
                betas[q, lane] = values[q, lane]
                sums[lane] += values[q, lane]
                alpha_sums[lane] += alphas[t, q, lane]
        joint[:] = 0.0
        for c in range(num_classes):
            for lane in range(LANES):
                joint[lane] += used[c, lane]
        for lane in range(LANES):
            if t < lens[lane]:
                # Nothing that counted as zero could have changed the result.
                exact[lane] &= joint[lane] > slack * max(alpha_sums[lane], beta_sums[lane])
                log_scale[lane] += np.log(beta_sums[lane])
                totals[lane] = np.log(joint[lane]) + log_scale[lane]
            for c in range(num_classes):
                probs[t, c, lane] = used[c, lane] / joint[lane] if joint[lane] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _step_back(
    arcs: _Arcs, betas: np.ndarray, frame: np.ndarray, alphas: np.ndarray, values: np.ndarray, used: np.ndarray
) -> None:
    """From the values ``betas`` behind a frame to ``values`` before it; the weight of each class's arcs goes to ``used``."""
    offsets, states, columns, weights, epsilon = arcs
    for q in range(len(betas) - 1, -1, -1):
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        a0, a1, a2, a3 = np.float64(alphas[q, 0]), np.float64(alphas[q, 1]), np.float64(alphas[q, 2]), np.float64(alphas[q, 3])
        for k in range(offsets[q], offsets[q + 1]):
            weight, beta, prob, total = weights[k], betas[states[k]], frame[columns[k]], used[columns[k]]
            v0, v1 = weight * prob[0] * beta[0], weight * prob[1] * beta[1]
            v2, v3 = weight * prob[2] * beta[2], weight * prob[3] * beta[3]
            a, b, c, d = a + v0, b + v1, c + v2, d + v3
            total[0] += a0 * v0
            total[1] += a1 * v1
            total[2] += a2 * v2
            total[3] += a3 * v3
        for k in range(epsilon.offsets[q], epsilon.offsets[q + 1]):
            weight, value = epsilon.weights[k], values[epsilon.nodes[k]]
            a, b, c, d = a + weight * value[0], b + weight * value[1], c + weight * value[2], d + weight * value[3]
        values[q, 0], values[q, 1], values[q, 2], values[q, 3] = chopped(a), chopped(b), chopped(c), chopped(d)
