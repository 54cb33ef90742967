from __future__ import annotations

import pytest
import torch
from torch import nn

from speechkit.nn.attention_rnn import AttentionRnn
from speechkit.nn.groups import Groups
from speechkit.nn.location_attention import AdditiveAttention, LocationAttention
from speechkit.nn.recurrent import Gru, ZoneoutLstm

B, U, S, P, M, H = 2, 7, 5, 4, 3, 6
LENS = torch.tensor([7, 4])


def make(rnn=ZoneoutLstm, kind=LocationAttention, **options):
    attention = kind(H, M, 5, 2, 3, channels=2) if kind is LocationAttention else kind(H, M, 5)
    return AttentionRnn(rnn(P + M, H), attention, **options).double()


def inputs():
    return torch.randn(B, S, P, dtype=torch.float64), torch.randn(B, U, M, dtype=torch.float64)


def test_it_is_a_cell_that_hears_its_last_context():
    decoder, (x, memory) = make(), inputs()
    cell = nn.LSTMCell(P + M, H).double()
    cell.load_state_dict(decoder.rnn.state_dict())
    out, seen, _ = decoder(x, decoder.start(memory, LENS))
    state, context = None, torch.zeros(B, M, dtype=torch.float64)
    weights = torch.eye(U, dtype=torch.float64)[[0, 0]]
    total, visible = torch.zeros_like(weights), torch.arange(U) < LENS.unsqueeze(1)
    for t in range(S):
        state = cell(torch.cat([x[:, t], context], 1), state)
        keys, looked = decoder.attention.keys(memory), torch.stack([weights, total], 1)
        weights = decoder.attention(Groups.single(B), state[0], keys, visible, looked)
        total = total + weights
        context = (weights.unsqueeze(1) @ memory).squeeze(1)
        torch.testing.assert_close(out[:, t], torch.cat([state[0], context], 1))
        torch.testing.assert_close(seen[:, t], weights)


@pytest.mark.parametrize("rnn", [ZoneoutLstm, Gru])
@pytest.mark.parametrize("kind", [AdditiveAttention, LocationAttention])
@pytest.mark.parametrize("forward_attention", [False, True])
def test_step_by_step_equals_all_steps_at_once(rnn, kind, forward_attention):
    decoder, (x, memory) = make(rnn, kind, forward_attention=forward_attention), inputs()
    out, weights, _ = decoder(x, decoder.start(memory, LENS))
    state = decoder.start(memory, LENS)
    for t in range(S):
        one, looked, state = decoder(x[:, t : t + 1], state)
        torch.testing.assert_close(one[:, 0], out[:, t])
        torch.testing.assert_close(looked[:, 0], weights[:, t])


def test_gradients_reach_every_parameter_and_the_memory():
    decoder, (x, memory) = make(), inputs()
    memory.requires_grad_()
    out, weights, _ = decoder(x, decoder.start(memory, LENS))
    (out.sin().sum() + weights[:, :, 0].sum()).backward()
    assert all(each.grad.ne(0).any() for each in decoder.parameters())
    assert memory.grad[0].ne(0).all() and memory.grad[1, 4:].eq(0).all()


def test_it_runs_under_autocast_with_weights_in_float32():
    decoder, (x, memory) = make().float(), (each.float() for each in inputs())
    with torch.autocast("cpu", torch.bfloat16):
        out, weights, _ = decoder(x, decoder.start(memory, LENS))
    assert weights.dtype == torch.float32
    exact, _, _ = decoder(x, decoder.start(memory, LENS))
    torch.testing.assert_close(out.float(), exact, atol=0.03, rtol=0.03)
    out.float().sum().backward()
    assert all(each.grad.dtype == torch.float32 for each in decoder.parameters() if each.grad is not None)
