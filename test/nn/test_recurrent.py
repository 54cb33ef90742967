from __future__ import annotations

import pytest
import torch
from torch import nn

from speechkit.nn.recurrent import Gru, ZoneoutLstm, lstm_update

B, T, D, H = 2, 7, 5, 3

both = pytest.mark.parametrize(("ours", "theirs"), [(ZoneoutLstm, nn.LSTM), (Gru, nn.GRU)])


def pair(ours, theirs):
    ours, theirs = ours(D, H).double(), theirs(D, H, batch_first=True).double()
    theirs.load_state_dict({f"{name}_l0": value for name, value in ours.state_dict().items()})
    return ours, theirs


@both
def test_outputs_and_gradients_are_those_of_torch(ours, theirs):
    ours, theirs = pair(ours, theirs)
    x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    out, _ = ours(x, ours.start(B, x))
    expected, _ = theirs(x)
    torch.testing.assert_close(out, expected)
    found = torch.autograd.grad(out.sin().sum(), [x, *ours.parameters()])
    names = [f"{name}_l0" for name, _ in ours.named_parameters()]
    wanted = torch.autograd.grad(expected.sin().sum(), [x, *(getattr(theirs, name) for name in names)])
    torch.testing.assert_close(found, wanted)


@both
def test_some_steps_and_then_others_equal_all_at_once(ours, theirs):
    layer, _ = pair(ours, theirs)
    x = torch.randn(B, T, D, dtype=torch.float64)
    whole, last = layer(x, layer.start(B, x))
    first, state = layer(x[:, :3], layer.start(B, x))
    second, state = layer(x[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(state, last)


@both
def test_what_is_fed_back_step_by_step_counts_as_the_rest_of_the_input(ours, theirs):
    layer, _ = pair(ours, theirs)
    x = torch.randn(B, T, D, dtype=torch.float64)
    expected, _ = layer(x, layer.start(B, x))
    loop, state, outs = layer.loop(2), layer.start(B, x), []
    for projected, fed in zip(loop.project(x[..., :2]).unbind(1), x[..., 2:].unbind(1)):
        out, state = loop(projected, fed, state)
        outs.append(out)
    torch.testing.assert_close(torch.stack(outs, dim=1), expected)


def test_the_update_of_a_cell_has_the_right_gradient():
    gates = torch.randn(B, 4 * H, dtype=torch.float64, requires_grad=True)
    cell = torch.randn(B, H, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lstm_update, [gates, cell])


def test_zoneout_keeps_a_share_of_the_state_in_training_and_its_mean_in_evaluation():
    lstm, x = ZoneoutLstm(D, 400, zoneout=0.3), torch.randn(1, 1, D)
    state = (torch.full((1, 400), 7.0), torch.full((1, 400), 9.0))
    plain = ZoneoutLstm(D, 400)
    plain.load_state_dict(lstm.state_dict())
    _, new = plain(x, state)
    _, kept = lstm(x, state)
    for was, now, then in zip(state, kept, new):
        assert ((now == was) | (now == then)).all()
        assert 0.2 < (now == was).float().mean() < 0.4
    assert (kept[0] == 7).ne(kept[1] == 9).any()  # hidden units and cells apart
    _, mean = lstm.eval()(x, state)
    torch.testing.assert_close(mean, tuple(0.3 * was + 0.7 * then for was, then in zip(state, new)))


def test_a_zoneout_that_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"zoneout: expected a probability in \[0, 1\), got 1"):
        ZoneoutLstm(D, H, zoneout=1)
