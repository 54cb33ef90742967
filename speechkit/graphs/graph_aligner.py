"""The best path through a graph of frame labels, and the tokens on it with their times."""

from __future__ import annotations

import numpy as np
from numba import njit

from speechkit.graphs.aligner import NO_PATH, Alignment
from speechkit.graphs.graph import EPSILON, Graph

START = -1  # in place of an arc: the path begins here


def align_graph(graph: Graph, log_probs: np.ndarray) -> tuple[list[int], Alignment]:
    """The likeliest path of a graph through S frames, by the Viterbi algorithm.

    A token lasts from the frame in which it begins as long as the label of that frame goes on and no other one begins.
    Of equal paths the one whose arcs stand first in the graph wins.

    Args:
        graph: Of one transcript, or of all that can be said.
        log_probs: (S, V) log-probabilities (nats) of the labels.

    Returns:
        The tokens that begin on the path, and their alignment; none, with the score ``-inf``, if there is no path.
    """
    graph.check_classes(log_probs.shape[1])
    # Arcs without a frame after the others, in an order in which each comes after all that lead to it.
    order = np.argsort(np.where(graph.labels == EPSILON, graph.epsilon_ranks[graph.sources], -1), kind="stable")
    arcs = [each[order] for each in (graph.sources, graph.targets, graph.labels, graph.weights)]
    scores = np.ascontiguousarray(log_probs, dtype=np.float64)
    score, path, frames = _best_path(*arcs, graph.initial, graph.final, scores)
    if score == -np.inf:
        return [], NO_PATH
    labels = graph.labels[order][path]
    outputs = graph.outputs[order][path]
    spoken = labels[labels != EPSILON]  # (S,)
    begins = np.flatnonzero(outputs != EPSILON)
    times, confidences = [], []
    for first, limit in zip(frames[begins].tolist(), [*frames[begins][1:].tolist(), len(log_probs)]):
        last = first
        while last < limit and spoken[last] == spoken[first]:
            last += 1
        times.append((first, last))
        confidences.append(min(1.0, float(np.exp(log_probs[first:last, spoken[first]].max()))) if last > first else 0.0)
    return outputs[begins].tolist(), Alignment(score, times, confidences)


@njit(cache=True, nogil=True)
def _best_path(
    sources: np.ndarray,
    targets: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    initial: np.ndarray,
    final: np.ndarray,
    log_probs: np.ndarray,
) -> tuple[float, np.ndarray, np.ndarray]:
    """The score of the best path, its arcs, and before which frame, or in which one, each lies."""
    num_frames, num_states = len(log_probs), len(initial)
    came_by = np.full((num_frames + 1, num_states), START, dtype=np.int32)
    before, now = np.full(num_states, -np.inf), initial.copy()
    for t in range(num_frames + 1):
        for arc in range(len(sources)):
            if labels[arc] == EPSILON:
                score = now[sources[arc]] + weights[arc]
            elif t > 0:
                score = before[sources[arc]] + weights[arc] + log_probs[t - 1, labels[arc]]
            else:
                continue
            if score > now[targets[arc]]:
                now[targets[arc]], came_by[t, targets[arc]] = score, arc
        before, now = now, before
        now[:] = -np.inf
    last = np.argmax(before + final)
    score = before[last] + final[last]
    # From the end back, once to know how many arcs there are, and once more to write them down.
    path = frames = np.empty(0, dtype=np.int64)
    for writing in (False, True):
        state, t, count = last, num_frames, 0
        while score > -np.inf and came_by[t, state] != START:
            arc = came_by[t, state]
            state = sources[arc]
            t -= labels[arc] != EPSILON
            count += 1
            if writing:
                path[-count], frames[-count] = arc, t
        if not writing:
            path, frames = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    return score, path, frames
