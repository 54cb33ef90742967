from __future__ import annotations

import pytest
import torch

from speechkit.nn.groups import Groups
from speechkit.nn.location_attention import AdditiveAttention, LocationAttention
from speechkit.nn.step_attention import StepAttention, outside

B, U, S, Q, M, A = 2, 11, 4, 3, 5, 7
LENS = torch.tensor([11, 6])


def make(kind):
    torch.manual_seed(3)
    attention = AdditiveAttention(Q, M, A) if kind == "additive" else LocationAttention(Q, M, A, 4, 5, channels=2)
    return attention.double()


def inputs():
    real = {"dtype": torch.float64, "requires_grad": True}
    return torch.randn(S, B, Q, **real), torch.randn(B, U, M, **real)


def run_steps(attention, queries, memory, **options):
    steps = StepAttention(attention, memory, LENS, **options)
    (_, weights, total), contexts, seen = steps.start(), [], []
    for query in queries:
        context, weights, total = steps(query, weights, total)
        contexts.append(context)
        seen.append(weights)
    return torch.stack(contexts), torch.stack(seen)


def run_module(attention, queries, memory):
    visible = torch.arange(U) < LENS.unsqueeze(1)
    weights = torch.zeros(B, U, dtype=torch.float64)
    weights[:, 0] = 1
    total, contexts, seen = torch.zeros_like(weights), [], []
    keys = attention.keys(memory)
    for query in queries:
        weights = attention(Groups.single(B), query, keys, visible, torch.stack([weights, total], 1))
        total = total + weights
        contexts.append((weights.unsqueeze(1) @ memory).squeeze(1))
        seen.append(weights)
    return torch.stack(contexts), torch.stack(seen)


@pytest.mark.parametrize("kind", ["additive", "location"])
def test_values_and_gradients_are_those_of_the_module(kind):
    attention, (queries, memory) = make(kind), inputs()
    ours, theirs = run_steps(attention, queries, memory), run_module(attention, queries, memory)
    torch.testing.assert_close(ours, theirs)
    leaves = [queries, memory, *attention.parameters()]
    found, wanted = (torch.autograd.grad(each[0].sin().sum() + each[1].square().sum(), leaves) for each in (ours, theirs))
    torch.testing.assert_close(found, wanted)


def test_padding_of_the_memory_does_not_matter():
    attention, (queries, memory) = make("location"), inputs()
    _, whole = run_steps(attention, queries, memory)
    garbage = memory.detach().clone()
    garbage[1, 6:] = torch.nan
    contexts, again = run_steps(attention, queries, garbage)
    torch.testing.assert_close(again, whole)
    assert contexts.isfinite().all() and again[:, 1, 6:].eq(0).all()


def test_forward_attention_is_the_probability_of_all_monotonic_paths():
    attention, (queries, memory) = make("additive"), inputs()
    (_, plain), (_, weights) = run_module(attention, queries, memory), run_steps(attention, queries, memory, forward=True)
    plain, weights = plain.detach(), weights.detach()
    for b, length in enumerate(LENS.tolist()):
        paths = {0: 1.0}  # brute force: each step stays or goes on by one, and multiplies what attention says there
        for t in range(S):
            reached = {}
            for place, mass in paths.items():
                for to in (place, place + 1):
                    if to < length:
                        reached[to] = reached.get(to, 0.0) + mass * float(plain[t, b, to])
            paths = reached
            expected = torch.zeros(U, dtype=torch.float64)
            expected[list(paths)] = torch.tensor(list(paths.values()), dtype=torch.float64)
            torch.testing.assert_close(weights[t, b], expected / expected.sum())


def test_a_window_hides_what_is_far_from_the_last_place():
    weights = torch.tensor([[0.1, 0.2, 0.6, 0.1, 0.0], [0.9, 0.1, 0.0, 0.0, 0.0]])
    hidden = [[True, False, False, False, False], [False, False, False, True, True]]
    assert outside(weights, 1, 2).tolist() == hidden
    attention, (queries, memory) = make("location"), inputs()
    steps = StepAttention(attention, memory, LENS)
    _, start, total = steps.start()
    _, seen, _ = steps(queries[0], start, total, (1, 2))
    assert seen[:, 3:].eq(0).all() and seen[:, :3].gt(0).all()
    torch.testing.assert_close(seen.sum(1), torch.ones(B, dtype=torch.float64))
