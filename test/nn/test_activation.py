from __future__ import annotations

import pytest
import torch

from speechkit.nn.activation import make_activation

X = torch.tensor([-2.0, -0.5, 0.0, 1.5])


def test_swish_is_x_times_its_sigmoid():
    torch.testing.assert_close(make_activation("swish")(X), X / (1 + torch.exp(-X)))


def test_gelu_is_x_times_the_normal_distribution():
    torch.testing.assert_close(make_activation("gelu")(X), X * 0.5 * (1 + torch.erf(X / 2**0.5)))


def test_relu_cuts_negative_values():
    assert make_activation("relu")(X).tolist() == [0.0, 0.0, 0.0, 1.5]


def test_an_unknown_activation_lists_the_choices():
    with pytest.raises(ValueError, match="expected one of swish, relu, gelu, got 'tanh'"):
        make_activation("tanh")
