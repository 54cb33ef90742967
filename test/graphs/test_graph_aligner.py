from __future__ import annotations

import itertools

import numpy as np
import pytest

from speechkit.graphs.aligner import NO_PATH, align_ctc
from speechkit.graphs.graph import EPSILON, Graph
from speechkit.graphs.graph_aligner import align_graph


def graph(arcs, num_states, final=None, initial=None):
    """Arcs are (source, target, label, weight, output)."""
    sources, targets, labels, weights, outputs = zip(*arcs)
    starts = np.full(num_states, -np.inf)
    starts[0] = 0.0
    ends = np.full(num_states, -np.inf)
    ends[-1] = 0.0
    return Graph(sources, targets, labels, weights, outputs, starts if initial is None else initial, ends if final is None else final)


def ctc_graph(tokens):
    """States 0 .. 2U of the CTC topology of one transcript, entered by one more state."""
    states = [0] + [each for token in tokens for each in (token, 0)]
    arcs = []
    for s, label in enumerate(states):
        output = label if s % 2 else EPSILON
        sources = [s - 1] + ([s - 2] if s % 2 and s > 2 and states[s - 2] != label else [])
        begins = [source + 1 for source in sources if source >= 0] + ([0] if s < 2 else [])
        arcs += [(source, s + 1, label, 0.0, output) for source in begins] + [(s + 1, s + 1, label, 0.0, EPSILON)]
    final = np.full(len(states) + 1, -np.inf)
    final[-2:] = 0.0
    return graph(arcs, len(states) + 1, final)


@pytest.mark.parametrize("tokens", [[1], [1, 3], [2, 2, 1]])
@pytest.mark.parametrize("seed", range(4))
def test_a_graph_of_ctc_aligns_as_ctc_does(tokens, seed):
    log_probs = np.random.default_rng(seed).normal(size=(9, 4))
    log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
    found, alignment = align_graph(ctc_graph(tokens), log_probs)
    expected = align_ctc(log_probs, tokens)
    assert found == tokens and alignment.token_times == expected.token_times
    assert alignment.score == pytest.approx(expected.score) and alignment.confidences == pytest.approx(expected.confidences)


@pytest.mark.parametrize("seed", range(6))
def test_the_path_is_the_best_of_all_with_weights_epsilon_arcs_and_any_initial_and_final_states(seed):
    random = np.random.default_rng(seed)
    labels = random.choice([EPSILON, 0, 1, 2], size=14)
    ends = random.integers(0, 5, size=(14, 2))
    ends[labels == EPSILON] = np.sort(ends[labels == EPSILON], axis=1)
    arcs = [(a, b, k, random.normal(), i) for i, ((a, b), k) in enumerate(zip(ends, labels)) if k != EPSILON or a < b]
    arcs += [(0, 1, EPSILON, -0.3, 100), (1, 4, 2, 0.1, 101), (4, 4, 1, 0.2, EPSILON)]
    made = graph(arcs, 5, random.normal(size=5), random.normal(size=5))
    log_probs = random.normal(size=(4, 3))
    # All paths by depth: (state, frame, score, tokens).
    open_paths, best = [(q, 0, made.initial[q], ()) for q in range(5)], (-np.inf, ())
    while open_paths:
        state, t, score, tokens = open_paths.pop()
        if t == 4:
            best = max(best, (score + made.final[state], tokens))
        for source, target, label, weight, output in arcs:
            if source == state and (label == EPSILON or t < 4):
                gain = weight + (0.0 if label == EPSILON else log_probs[t, label])
                spoken = tokens if output == EPSILON else (*tokens, output)
                open_paths.append((target, t + (label != EPSILON), score + gain, spoken))
    tokens, alignment = align_graph(made, log_probs)
    assert alignment.score == pytest.approx(best[0]) and tuple(tokens) == best[1]
    borders = list(itertools.chain(*alignment.token_times))
    assert borders == sorted(borders) and len(alignment.token_times) == len(tokens)


def test_a_graph_with_no_path_of_this_length_has_no_alignment():
    assert align_graph(graph([(0, 1, 0, 0.0, 0)], 2), np.zeros((3, 2))) == ([], NO_PATH)
    with pytest.raises(ValueError, match="expected labels below 2, the classes of the network, got 6"):
        align_graph(graph([(0, 1, 6, 0.0, 0)], 2), np.zeros((1, 2)))
