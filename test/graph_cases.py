"""Small graphs for tests, and what they are held against: all their paths, one by one."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from speechkit.graphs.graph import EPSILON, Graph
from speechkit.graphs.label_graph import Topology

NEVER = -np.inf


def graph(arcs, initial, final) -> Graph:
    """From rows (source, target, label, weight)."""
    sources, targets, labels, weights = (np.array(column) for column in zip(*arcs))
    return Graph(sources, targets, labels, weights, labels, np.array(initial), np.array(final))


def random_graph(seed: int, num_states: int = 4, num_arcs: int = 9, num_epsilon: int = 4, size: int = 3) -> Graph:
    """Arcs with any labels, parallel ones and epsilon arcs included; several initial and final states."""
    random = np.random.default_rng(seed)
    ends = np.sort(random.integers(0, num_states, (num_epsilon, 2)), axis=1)
    ends = ends[ends[:, 0] < ends[:, 1]]  # upwards, so without cycles
    sources, targets = np.concatenate([random.integers(0, num_states, (num_arcs, 2)), ends]).T
    labels = np.concatenate([random.integers(0, size, num_arcs), np.full(len(ends), EPSILON)])
    initial, final = random.normal(size=(2, num_states))
    initial[random.random(num_states) < 0.4], final[random.random(num_states) < 0.4] = NEVER, NEVER
    initial[0] = final[-1] = 0.3
    arcs = np.concatenate([[0], sources]), np.concatenate([[num_states - 1], targets]), np.concatenate([[1], labels])
    return Graph(*arcs, random.normal(size=len(labels) + 1), arcs[2], initial, final)


def path_scores(graph: Graph, scores: Tensor) -> list[float]:
    """Of all paths through the frames (S, V)."""
    arcs, scores = list(zip(graph.sources, graph.targets, graph.labels, graph.weights)), scores.detach()
    found = []

    def go(state: int, t: int, score: float) -> None:
        if t == len(scores) and graph.final[state] > NEVER:
            found.append(score + graph.final[state])
        for source, target, label, weight in arcs:
            if source == state and label == EPSILON:
                go(target, t, score + weight)
            elif source == state and t < len(scores):
                go(target, t + 1, score + weight + float(scores[t, label]))

    for state in np.flatnonzero(graph.initial > NEVER):
        go(state, 0, graph.initial[state])
    return found


def log_sum(scores: list[float]) -> float:
    return torch.tensor(scores, dtype=torch.float64).logsumexp(0).item() if scores else NEVER


def spellings(path: tuple[int, ...], topology: Topology, blank: int = 0) -> list[tuple[int, ...]]:
    """The token sequences that frame labels may stand for, once for each way in which they do."""
    found = []

    def go(t: int, tokens: tuple[int, ...], last: int) -> None:
        if t == len(path):
            found.append(tokens)
        elif path[t] == blank:
            go(t + 1, tokens, blank)
        else:
            if last == path[t] and topology.repeats:
                go(t + 1, tokens, last)
            if not (last == path[t] and topology.merges):
                go(t + 1, (*tokens, path[t]), path[t])

    go(0, (), blank)
    return found


def labellings(num_frames: int, size: int):
    return itertools.product(range(size), repeat=num_frames)


def toy() -> tuple[Graph, Tensor]:
    """The denominator graph and the frames (1, 5, 5) of thu-spmi/CAT, src/ctc_crf/test/den_lm.fst and main.py.

    Classes 0 to 4 are the blank, a, c, s, t. The graph accepts a-t, a-c-a-t and a-t-s-a-t.
    """
    third, other = -1.0986123085021973, -0.40546509623527527  # log 1/3 and log 2/3, as the file has them in float32
    half = -0.6931471824645996
    arcs = [
        (0, 0, 0, 0.0), (0, 1, 1, 0.0),
        (1, 1, 1, 0.0), (1, 2, 0, 0.0), (1, 3, 2, third), (1, 4, 4, other),
        (2, 2, 0, 0.0), (2, 3, 2, third), (2, 4, 4, other),
        (3, 3, 2, 0.0), (3, 5, 0, 0.0), (3, 1, 1, 0.0),
        (4, 4, 4, 0.0), (4, 6, 0, 0.0), (4, 7, 3, half),
        (5, 5, 0, 0.0), (5, 1, 1, 0.0),
        (6, 6, 0, 0.0), (6, 7, 3, half),
        (7, 7, 3, 0.0), (7, 8, 0, 0.0), (7, 1, 1, 0.0),
        (8, 8, 0, 0.0), (8, 1, 1, 0.0),
    ]  # fmt: skip
    initial, final = np.full((2, 9), NEVER)
    initial[0], final[[4, 6]] = 0.0, half
    probs = [
        [0.1, 0.1, 0.5, 0.1, 0.2],
        [0.5, 0.1, 0.1, 0.2, 0.2],
        [0.1, 0.7, 0.1, 0.05, 0.05],
        [0.6, 0.1, 0.1, 0.1, 0.1],
        [0.1, 0.1, 0.1, 0.6, 0.1],
    ]
    return graph(arcs, initial, final), torch.tensor([probs], dtype=torch.float64).log()


TOY_TOTAL = -6.258327796633315
