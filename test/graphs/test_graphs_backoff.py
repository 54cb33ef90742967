"""Look-ups in an automaton with backoff arcs, and the forms of it without them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from speechkit.graphs.backoff import BackoffGraph
from speechkit.graphs.ngram_estimation import estimate
from speechkit.text.vocabulary import Vocabulary

V, EOS = 6, 5
SYMBOLS = range(1, V)


def model_of(order, smoothing="witten_bell"):
    random = np.random.default_rng(order)
    data = [random.choice([1, 2, 4], p=[0.6, 0.3, 0.1], size=size).tolist() for size in random.integers(0, 7, 23)]
    return estimate(data, Vocabulary(V), order, smoothing)


def sequence_weight(graph: BackoffGraph, sequence: tuple[int, ...]) -> float:
    """Log-sum over all paths that spell a sequence and end, where the backoff arcs are plain epsilon arcs."""

    def onward(state, left):
        total = graph.final_weights[state] if not left else -math.inf
        for arc in range(graph.arc_offsets[state], graph.arc_offsets[state + 1]):
            if left and graph.arc_symbols[arc] == left[0]:
                total = np.logaddexp(total, graph.arc_weights[arc] + onward(graph.arc_targets[arc], left[1:]))
        if graph.backoff_states[state] >= 0:
            total = np.logaddexp(total, graph.backoff_weights[state] + onward(graph.backoff_states[state], left))
        return total

    return float(onward(graph.start, sequence))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_rows_hold_the_weights_of_all_symbols_and_the_default_of_those_without(order):
    graph = model_of(order).graph
    states = np.array([*range(graph.num_states), 0])
    rows = graph.rows(states, default=-50.0)
    for symbol in SYMBOLS:
        np.testing.assert_allclose(rows[:, symbol], graph.weights(states, np.full(len(states), symbol)), rtol=1e-6)
    lowest = [sum(graph.backoff_weights[state] for state in chain(graph, state)) for state in states]
    np.testing.assert_allclose(rows[:, 0], np.array(lowest) - 50.0, rtol=1e-6)
    assert rows.shape == (len(states), V) and rows.dtype == np.float32


def chain(graph, state):
    while state >= 0:
        yield state
        state = graph.backoff_states[state]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_without_backoff_every_sequence_has_the_same_probability(order):
    model = model_of(order)
    expanded = model.graph.expanded()
    for sequence in itertools.product(range(1, EOS), repeat=3):
        assert sequence_weight(expanded, sequence) == pytest.approx(model.sentence_log_prob(sequence), rel=1e-12)


@pytest.mark.parametrize("smoothing", ["witten_bell", "kneser_ney"])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_remainders_and_epsilon_arcs_give_the_probability_of_each_next_symbol(order, smoothing):
    graph = model_of(order, smoothing).graph
    summed = graph.interpolated()

    def prob(state, symbol):
        arcs = np.arange(summed.arc_offsets[state], summed.arc_offsets[state + 1])
        own = np.exp(summed.arc_weights[arcs[summed.arc_symbols[arcs] == symbol]]).sum()
        own += math.exp(summed.final_weights[state]) if symbol == EOS else 0.0
        return own + (math.exp(graph.backoff_weights[state]) * prob(graph.backoff_states[state], symbol) if state else 0.0)

    for state, symbol in itertools.product(range(graph.num_states), SYMBOLS):
        assert prob(state, symbol) == pytest.approx(math.exp(graph.weights(np.array([state]), np.array([symbol]))[0]), rel=1e-8)


def test_remainders_and_epsilon_arcs_of_a_bigram_give_every_sequence_its_probability():
    model = model_of(2)
    summed = model.graph.interpolated()
    for sequence in itertools.product(range(1, EOS), repeat=3):
        assert sequence_weight(summed, sequence) == pytest.approx(model.sentence_log_prob(sequence), rel=1e-9)


def test_the_weights_that_leave_a_state_of_the_interpolated_form_sum_to_one():
    summed = model_of(4, "kneser_ney").graph.interpolated()
    leaving = np.bincount(summed.arc_sources, np.exp(summed.arc_weights), summed.num_states) + np.exp(summed.final_weights)
    leaving[1:] += np.exp(summed.backoff_weights[1:])
    np.testing.assert_allclose(leaving, 1.0, atol=1e-7)


def test_a_model_that_is_no_sum_over_arcs_and_epsilon_arcs_says_so():
    graph = model_of(3).graph
    graph.arc_weights[-1] -= 3.0
    with pytest.raises(ValueError, match="expected interpolated smoothing, got symbol . in state"):
        graph.interpolated()
