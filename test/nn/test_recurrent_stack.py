from __future__ import annotations

import torch

from speechkit.nn.recurrent import Gru, ZoneoutLstm
from speechkit.nn.recurrent_stack import RecurrentStack

B, T, D, H = 2, 7, 5, 3


def test_layers_follow_each_other_and_go_on_from_any_state():
    stack, x = RecurrentStack([ZoneoutLstm(D, H), ZoneoutLstm(H, 4)]), torch.randn(B, T, D)
    first, second = stack.layers
    whole, _ = stack(x, stack.start(B, x))
    torch.testing.assert_close(whole, second(first(x, first.start(B, x))[0], second.start(B, x))[0])
    assert whole.shape == (B, T, stack.out_dim) == (2, 7, 4)
    head, states = stack(x[:, :2], stack.start(B, x))
    tail, _ = stack(x[:, 2:], states)
    torch.testing.assert_close(torch.cat([head, tail], dim=1), whole)


def test_residual_layers_add_their_input():
    stack, x = RecurrentStack([Gru(D, D), Gru(D, D)], residual=True), torch.randn(B, T, D)
    for layer in stack.layers:
        for parameter in layer.parameters():
            torch.nn.init.zeros_(parameter)  # tanh(0): such a GRU says 0
    torch.testing.assert_close(stack(x, stack.start(B, x))[0], x)


def test_dropout_is_on_every_output_in_training_only():
    stack, x = RecurrentStack([Gru(D, H)], dropout=0.5), torch.randn(B, T, D)
    assert stack(x, stack.start(B, x))[0].eq(0).any()
    assert stack.eval()(x, stack.start(B, x))[0].ne(0).all()
