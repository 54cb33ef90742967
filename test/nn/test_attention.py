from __future__ import annotations

import itertools
import math

import pytest
import torch

from speechkit.nn.attention import (
    CrossAttention,
    RelativeSelfAttention,
    RotarySelfAttention,
    SelfAttention,
    attention_mask,
    causal_mask,
    make_attention,
    relative_shift,
    rotate,
)
from speechkit.nn.position import RelativePosition, sinusoids
from speechkit.utils.lens import padding_mask

B, T, D, H = 2, 7, 12, 3
LENS = torch.tensor([7, 4])


def heads(module: SelfAttention, x: torch.Tensor) -> list[torch.Tensor]:
    """Query, key, value (B, T, H, d) from the fused projection, written out."""
    projected = x @ module.qkv.weight.T + module.qkv.bias
    return [part.reshape(*x.shape[:2], H, D // H) for part in projected.split(D, dim=-1)]


def explicit(module: SelfAttention, x: torch.Tensor, lens: torch.Tensor, score) -> torch.Tensor:
    """Attention frame by frame with ``score(b, h, i, j, query, key)``."""
    query, key, value = heads(module, x)
    context = torch.zeros(B, T, H, D // H)
    for b in range(B):
        for h in range(H):
            for i in range(T):
                scores = [score(h, i, j, query[b, i, h], key[b, j, h]) / math.sqrt(D // H) for j in range(lens[b])]
                weights = torch.stack(scores).softmax(0)
                context[b, i, h] = weights @ value[b, : lens[b], h]
    return module.out(context.flatten(2))


def test_plain_attention_equals_its_formula():
    torch.manual_seed(0)
    module, x = SelfAttention(D, H), torch.randn(B, T, D)
    expected = explicit(module, x, LENS, lambda h, i, j, q, k: q @ k)
    torch.testing.assert_close(module(x, None, attention_mask(padding_mask(LENS, T))), expected)


@pytest.mark.parametrize("lens", [LENS, torch.tensor([T, T])])
def test_relative_attention_equals_a_table_of_all_pairs(lens):
    torch.manual_seed(0)
    module, x = RelativeSelfAttention(D, H), torch.randn(B, T, D)
    u, v = module.content_bias.view(H, -1), module.distance_bias.view(H, -1)

    def score(h, i, j, q, k):
        distance = module.distance(sinusoids(torch.tensor([float(i - j)]), D)).view(H, -1)[h]
        return (q + u[h]) @ k + (q + v[h]) @ distance

    _, positions = RelativePosition(D)(x)
    mask = attention_mask(padding_mask(lens, T)) if lens.min() < T else None
    torch.testing.assert_close(module(x, positions, mask), explicit(module, x, lens, score))


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradient_of_relative_attention_passes_gradcheck(masked):
    torch.manual_seed(0)
    module = RelativeSelfAttention(4, 2).double()
    x = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True)
    _, positions = RelativePosition(4).double()(x)
    mask = attention_mask(padding_mask(torch.tensor([3, 2]))) if masked else None
    names = [name for name, _ in module.named_parameters()]

    def call(x, *values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x, positions, mask))

    assert torch.autograd.gradcheck(call, (x, *module.parameters()))


@pytest.mark.parametrize("length", [1, 2, 5])
def test_the_relative_shift_reads_the_column_of_each_distance(length):
    x = torch.randn(2, 3, length, 2 * length - 1)
    y = relative_shift(x)
    for i in range(length):
        for j in range(length):
            assert torch.equal(y[..., i, j], x[..., i, length - 1 - i + j])


def test_rotary_scores_depend_on_the_distance_only():
    torch.manual_seed(0)
    query, key = torch.randn(8).expand(T, 8), torch.randn(8).expand(T, 8)
    table = sinusoids(torch.arange(float(T)), 8)
    scores = rotate(query, table) @ rotate(key, table).T  # the same content everywhere
    for i in range(T - 1):
        torch.testing.assert_close(scores[i, :-1], scores[i + 1, 1:])
    assert not torch.allclose(scores[0, 1:], scores[0, :-1], atol=1e-3)


def test_rotation_is_multiplication_of_complex_numbers():
    torch.manual_seed(0)
    x = torch.randn(2, 5, 6)
    turned = torch.view_as_complex(x.view(2, 5, 3, 2)) * torch.polar(
        torch.ones(5, 3), torch.arange(5.0).unsqueeze(1) * 10000.0 ** (-torch.arange(3) / 3)
    )
    torch.testing.assert_close(rotate(x, sinusoids(torch.arange(5.0), 6)), torch.view_as_real(turned).flatten(2))


def test_rotary_attention_does_not_see_a_common_shift():
    torch.manual_seed(0)
    module, x = RotarySelfAttention(D, H), torch.randn(B, T, D)
    table = sinusoids(torch.arange(20.0), D // H)
    torch.testing.assert_close(module(x, table[:T]), module(x, table[11 : 11 + T]))
    assert not torch.allclose(module(x, table[:T]), module(x, table[0:1].expand(T, -1)), atol=1e-4)


def test_token_by_token_equals_causal_attention_at_once_and_the_past_stays_as_it_was():
    module, x, past, steps = SelfAttention(D, H), torch.randn(B, T, D), None, []
    for t in range(T):
        before = None if past is None else past.clone()
        out, seen = module.step(x[:, t : t + 1], past)
        assert before is None or torch.equal(past, before)
        past = seen
        steps.append(out)
    torch.testing.assert_close(torch.cat(steps, dim=1), module(x, None, causal_mask(T)))


def test_cross_attention_equals_its_formula_with_and_without_weights():
    module, x, memory = CrossAttention(D, H, 5), torch.randn(B, 3, D), torch.randn(B, T, 5)
    query = module.query(x).unflatten(-1, (H, -1))
    key, value = module.key_value(memory).unflatten(-1, (2, H, -1)).unbind(2)
    context, mean = torch.zeros(B, 3, H, D // H), torch.zeros(B, 3, T)
    for b, h, i in itertools.product(range(B), range(H), range(3)):
        weights = (key[b, : LENS[b], h] @ query[b, i, h] / math.sqrt(D // H)).softmax(0)
        context[b, i, h] = weights @ value[b, : LENS[b], h]
        mean[b, i, : LENS[b]] += weights / H
    mask = attention_mask(padding_mask(LENS, T))
    out, weights = module.forward_with_weights(x, module.memory(memory), mask)
    torch.testing.assert_close(out, module.out(context.flatten(2)))
    torch.testing.assert_close(weights, mean)
    torch.testing.assert_close(module(x, module.memory(memory), mask), out)


def test_an_empty_utterance_gives_no_nan():
    mask = attention_mask(padding_mask(torch.tensor([3, 0])))
    assert SelfAttention(D, H)(torch.randn(2, 3, D), None, mask).isfinite().all()


def test_attention_dropout_acts_in_training_only():
    torch.manual_seed(0)
    x = torch.randn(B, T, D)
    _, positions = RelativePosition(D)(x)
    for name in ("none", "relative"):
        module = make_attention(name, D, H, dropout=0.5)
        assert not torch.allclose(module(x, positions), module(x, positions))
        module.eval()
        assert torch.equal(module(x, positions), module(x, positions))


def test_heads_must_divide_the_dimension():
    with pytest.raises(ValueError, match="expected a divisor of dim 12, got 5"):
        SelfAttention(12, 5)
    with pytest.raises(ValueError, match="expected a divisor of dim 12, got 5"):
        CrossAttention(12, 5, 7)
