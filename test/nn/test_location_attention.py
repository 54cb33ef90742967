from __future__ import annotations

import pytest
import torch

from speechkit.nn.groups import Groups
from speechkit.nn.location_attention import AdditiveAttention, DotAttention, LocationAttention, make_query_attention

B, S, Q, M, A = 2, 11, 3, 4, 5
VISIBLE = torch.arange(S) < torch.tensor([[11], [7]])

every_attention = pytest.mark.parametrize("name", ["dot", "additive", "location"])


def build(name):
    return make_query_attention(name, Q, M, A, num_filters=2, kernel_size=5).double()


def inputs(rows=B):
    real = {"dtype": torch.float64}
    return torch.randn(rows, Q, **real), torch.randn(B, S, M, **real), torch.rand(rows, 1, S, **real).softmax(-1)


@every_attention
def test_weights_sum_to_one_over_what_is_visible_and_are_zero_elsewhere(name):
    attention, (query, memory, previous) = build(name), inputs()
    weights = attention(Groups.single(B), query, attention.keys(memory), VISIBLE, previous)
    torch.testing.assert_close(weights.sum(1), torch.ones(B, dtype=torch.float64))
    assert weights[~VISIBLE].eq(0).all() and weights[VISIBLE].gt(0).all()


@every_attention
def test_queries_that_share_a_memory_get_what_they_would_get_alone(name):
    attention, (query, memory, previous), owners = build(name), inputs(5), torch.tensor([1, 0, 1, 1, 0])
    together = attention(Groups.of(owners, B), query, attention.keys(memory), VISIBLE, previous)
    for n, b in enumerate(owners.tolist()):
        alone = attention(
            Groups.single(1), query[n : n + 1], attention.keys(memory[b : b + 1]), VISIBLE[b : b + 1], previous[n : n + 1]
        )
        torch.testing.assert_close(together[n : n + 1], alone)


@every_attention
def test_gradients_are_right_and_reach_every_parameter(name):
    attention, (query, memory, previous) = build(name), inputs()
    names = [key for key, _ in attention.named_parameters()]

    def call(query, memory, previous, *values):
        parts = dict(zip(names, values, strict=True))
        keys = memory @ parts["key.weight"].T
        return torch.func.functional_call(attention, parts, (Groups.single(B), query, keys, VISIBLE, previous))

    leaves = [x.detach().requires_grad_() for x in (query, memory, previous, *attention.parameters())]
    assert torch.autograd.gradcheck(call, leaves)
    call(*leaves)[:, 0].sum().backward()
    assert all(leaf.grad is not None and leaf.grad.ne(0).any() for leaf in (leaves if name == "location" else leaves[3:]))


def test_each_score_equals_its_formula():
    query, memory, previous = inputs()
    for name in ("dot", "additive", "location"):
        attention = build(name)
        weights = attention(Groups.single(B), query, attention.keys(memory), VISIBLE, previous)
        q, k = attention.query(query), memory @ attention.key.weight.T
        for b, length in enumerate((11, 7)):
            if name == "dot":
                scores = k[b] @ q[b] / A**0.5
            else:
                hidden = q[b] + k[b]
                if name == "location":
                    padded = torch.nn.functional.pad(previous[b, 0], (2, 2)).unfold(0, 5, 1)  # (S, 5)
                    hidden = hidden + padded @ attention.filters.weight[:, 0].T @ attention.location.weight.T
                scores = hidden.tanh() @ attention.energy.weight[0]
            torch.testing.assert_close(weights[b, :length], scores[:length].softmax(0))


def test_the_kernel_1_0_0_moves_what_was_seen_one_frame_to_the_right():
    # The worked example of the course that introduces location-aware attention: a cross-correlation, no convolution.
    attention = LocationAttention(Q, M, A, num_filters=1, kernel_size=3)
    attention.filters.weight.data = torch.tensor([[[1.0, 0.0, 0.0]]])
    assert attention.filters(torch.tensor([[[0.0, 1, 2, 1, 0]]])).tolist() == [[[0, 0, 1, 2, 1]]]


def test_it_can_learn_to_walk_on_whatever_it_hears():
    attention = LocationAttention(Q, M, 1, num_filters=1, kernel_size=3)
    for parameter in attention.parameters():
        parameter.data.zero_()
    attention.filters.weight.data[0, 0] = torch.tensor([1.0, 0.0, 0.0])
    attention.location.weight.data.fill_(5.0)
    attention.energy.weight.data.fill_(50.0)
    weights = torch.nn.functional.one_hot(torch.tensor([0]), S).float()
    for step in range(1, 6):
        keys = attention.keys(torch.randn(1, S, M))
        weights = attention(Groups.single(1), torch.randn(1, Q), keys, VISIBLE[:1], weights.unsqueeze(1))
        assert weights[0, step] > 0.99


def test_half_precision_scores_are_normalised_in_float32():
    attention, (query, memory, previous) = build("location").bfloat16(), inputs()
    keys = attention.keys(memory.bfloat16())
    weights = attention(Groups.single(B), query.bfloat16(), keys, VISIBLE, previous.float())
    assert weights.dtype == torch.float32 and weights.isfinite().all()


def test_an_even_kernel_is_an_error():
    with pytest.raises(ValueError, match="kernel_size: expected an odd number of frames, got 4"):
        LocationAttention(Q, M, A, kernel_size=4)


def test_the_kinds_by_name():
    assert type(build("dot")) is DotAttention and type(build("additive")) is AdditiveAttention
