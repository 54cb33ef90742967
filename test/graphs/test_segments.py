from __future__ import annotations

import itertools
import math

import pytest
import torch

from speechkit.graphs.segments import Chains, all_paths_score, best_chain_path, chain_score

N = 3


def path_score(path, emissions, transitions):
    moves = sum(transitions[i, j] for j, i in zip(path[:-1], path[1:]))
    return sum(emissions[t, label] for t, label in enumerate(path)) + moves


def walks(labels, optional, num_frames):
    """All sequences of places in a chain that a path may take."""
    def follows(here, there):
        return there - here in (0, 1) or (there - here == 2 and optional[here + 1])

    last = len(labels) - 1
    for walk in itertools.product(range(len(labels)), repeat=num_frames):
        starts = walk[0] == 0 or (walk[0] == 1 and optional[0])
        ends = walk[-1] == last or (walk[-1] == last - 1 and optional[last])
        if starts and ends and all(follows(*pair) for pair in zip(walk[:-1], walk[1:])):
            yield walk


def chains(*rows):
    size = max(len(labels) for labels, _ in rows)
    labels = torch.tensor([[*labels, *[1] * (size - len(labels))] for labels, _ in rows])
    optional = torch.tensor([[*map(bool, optional), *[False] * (size - len(optional))] for _, optional in rows])
    return Chains(labels, optional, torch.tensor([len(labels) for labels, _ in rows]))


CHAINS = [([2], [0]), ([1, 2, 2], [0, 0, 0]), ([0, 1, 0, 1, 0], [1, 0, 0, 0, 1]), ([0, 2, 0, 1, 0], [1, 0, 1, 0, 1]), ([0], [1])]


def scores():
    torch.manual_seed(0)
    return torch.randn(len(CHAINS), 5, N, dtype=torch.float64), torch.randn(N, N, dtype=torch.float64)


def test_the_sum_over_all_paths_is_that_of_enumeration():
    emissions, transitions = scores()
    lens = torch.tensor([5, 4, 1, 0, 3])
    found = all_paths_score(emissions, transitions, lens)
    for b, length in enumerate(lens.tolist()):
        paths = itertools.product(range(N), repeat=length)
        exact = math.log(sum(math.exp(path_score(path, emissions[b], transitions)) for path in paths))
        assert found[b].item() == pytest.approx(exact, abs=1e-10)


def test_without_transitions_the_frames_are_independent():
    emissions, transitions = scores()
    found = all_paths_score(emissions, torch.zeros_like(transitions), torch.full((5,), 5))
    torch.testing.assert_close(found, emissions.logsumexp(2).sum(1))


def test_the_sum_over_the_paths_of_a_chain_and_the_best_one_are_those_of_enumeration():
    emissions, transitions = scores()
    batch = chains(*CHAINS)
    found = chain_score(emissions, transitions, torch.full((5,), 5), batch)
    best, places = best_chain_path(emissions, transitions, torch.full((5,), 5), batch)
    for b, (labels, optional) in enumerate(CHAINS):
        each = {w: path_score([labels[s] for s in w], emissions[b], transitions).item() for w in walks(labels, optional, 5)}
        assert found[b].item() == pytest.approx(math.log(sum(map(math.exp, each.values()))), abs=1e-10)
        assert tuple(places[b].tolist()) == max(each, key=each.get) and best[b].item() == pytest.approx(max(each.values()))


def test_a_batch_of_different_lengths_equals_each_alone_whatever_the_padding_holds():
    emissions, transitions = scores()
    lens = torch.tensor([5, 3, 4, 5, 2])
    padded = emissions.clone()
    for b, length in enumerate(lens):
        padded[b, length:] = math.nan
    together = all_paths_score(padded, transitions, lens), chain_score(padded.nan_to_num(9.0), transitions, lens, chains(*CHAINS))
    for b, length in enumerate(lens.tolist()):
        row = emissions[b : b + 1, :length], transitions, lens[b : b + 1]
        torch.testing.assert_close(together[0][b : b + 1], all_paths_score(*row))
        torch.testing.assert_close(together[1][b : b + 1], chain_score(*row, chains(CHAINS[b])))


def test_gradients_are_right():
    emissions, transitions = scores()
    lens, batch = torch.tensor([5, 3, 4, 5, 1]), chains(*CHAINS)
    inputs = emissions.requires_grad_(), transitions.requires_grad_()
    assert torch.autograd.gradcheck(lambda f, g: all_paths_score(f, g, lens), inputs)
    assert torch.autograd.gradcheck(lambda f, g: chain_score(f, g, lens, batch), inputs)


def test_a_chain_with_too_few_frames_has_no_path_and_no_gradient():
    emissions, transitions = scores()
    lens = torch.tensor([0, 2, 2, 1, 0])
    emissions.requires_grad_()
    batch = chains(*CHAINS)
    found = chain_score(emissions, transitions, lens, batch)
    assert found.isinf().tolist() == [True, True, True, True, False] and found[4] == 0
    assert best_chain_path(emissions, transitions, lens, batch)[0].isinf().tolist() == [True, True, True, True, False]
    (grad,) = torch.autograd.grad(found.nan_to_num(neginf=0.0).sum(), emissions)
    assert grad.eq(0).all()


def test_scores_of_any_size_neither_overflow_nor_underflow():
    emissions, transitions = scores()
    lens = torch.full((5,), 5)
    base = all_paths_score(emissions, transitions, lens)
    torch.testing.assert_close(all_paths_score(emissions + 900, transitions - 2000, lens), base + 5 * 900 - 4 * 2000)
