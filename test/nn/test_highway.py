from __future__ import annotations

import math

import torch

from speechkit.nn.highway import Highway

B, T, D = 2, 11, 5


def test_each_layer_equals_its_formula():
    highway, x = Highway(D, num_layers=3, gate_bias=0.3), torch.randn(B, T, D)
    expected = x
    for layer in highway.layers:
        (w, v), (b, c) = layer.weight.chunk(2), layer.bias.chunk(2)
        assert c.eq(0.3).all()
        g = (expected @ v.T + c).sigmoid()
        expected = g * (expected @ w.T + b).relu() + (1 - g) * expected
    torch.testing.assert_close(highway(x), expected)


def test_a_gate_bias_of_minus_infinity_is_the_identity_and_of_infinity_the_layer_alone():
    x = torch.randn(B, T, D)
    assert torch.equal(Highway(D, gate_bias=-math.inf)(x), x)
    opened = Highway(D, num_layers=1, gate_bias=math.inf)
    layer = opened.layers[0]
    torch.testing.assert_close(opened(x), (x @ layer.weight[:D].T + layer.bias[:D]).relu())


def test_gradients_reach_every_parameter():
    highway = Highway(D)
    highway(torch.randn(B, T, D)).square().sum().backward()
    assert all(p.grad.ne(0).any() for p in highway.parameters())


def test_bfloat16_autocast_is_close_to_float32():
    highway, x = Highway(D), torch.randn(B, T, D)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = highway(x)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, highway(x), atol=0.05, rtol=0.05)
