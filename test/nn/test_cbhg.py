from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.cbhg import Cbhg, max_pool
from speechkit.utils.lens import padding_mask

B, T, D = 3, 17, 5
LENS = torch.tensor([17, 4, 11])


def build(**options):
    return Cbhg(D, **{"bank_size": 4, "bank_dim": 3, "projection_dim": 6, "highway_dim": 7, "gru_dim": 2, **options})


def test_as_many_frames_come_out_as_go_in_and_padding_is_zero():
    cbhg = build()
    out = cbhg(torch.randn(B, T, D), LENS)
    assert out.shape == (B, T, cbhg.out_dim) == (3, 17, 4)
    assert out[1, 4:].eq(0).all() and out[1, :4].ne(0).all()


@pytest.mark.parametrize("training", [False, True])
def test_padding_does_not_change_the_output(training):
    cbhg, x = build().train(training), torch.randn(B, T, D)
    for norm in (cbhg.bank_norm, cbhg.narrow_norm, cbhg.restore_norm):
        norm.bias.data.normal_()
    lens = torch.tensor([11, 4, 7])
    short = cbhg(x[:, :11], lens)
    x = x.masked_fill(padding_mask(lens, T).unsqueeze(2), torch.nan)
    torch.testing.assert_close(cbhg(x, lens)[:, :11], short)
    if not training:
        for b, length in enumerate(lens.tolist()):
            torch.testing.assert_close(cbhg(x[b : b + 1, :length], lens[b : b + 1]), short[b : b + 1, :length])


def test_without_convolutions_and_highway_the_gru_reads_the_input():
    cbhg, x = build(highway_dim=D).eval(), torch.randn(1, T, D)
    cbhg.restore_norm.weight.data.zero_()
    for layer in cbhg.highway.layers:
        layer.bias.data[D:] = -torch.inf
    torch.testing.assert_close(cbhg(x, torch.tensor([T])), cbhg.gru(x)[0])


def test_the_bank_equals_its_convolutions_one_by_one_as_in_tensorflow():
    cbhg, x = build(highway_dim=D, num_highway_layers=0).eval(), torch.randn(1, T, D)
    maps = []
    for taps, conv in enumerate(cbhg.bank, start=1):
        padded = F.pad(x.transpose(1, 2), ((taps - 1) // 2, taps // 2))  # TensorFlow's "same"
        maps.append(F.conv1d(padded, conv.weight))
    y = torch.cat(maps, dim=1) / (1 + 1e-5) ** 0.5
    y = F.max_pool1d(F.pad(y.relu(), (0, 1), value=-torch.inf), 2, stride=1)
    y = (F.conv1d(y, cbhg.narrow.weight, padding=1) / (1 + 1e-5) ** 0.5).relu()
    y = F.conv1d(y, cbhg.restore.weight, padding=1) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(cbhg(x, torch.tensor([T])), cbhg.gru(x + y.transpose(1, 2))[0])


def test_pooling_looks_one_frame_ahead_within_the_utterance():
    x = torch.tensor([[[3.0], [-1.0], [-2.0], [9.0]]])
    assert max_pool(x, torch.tensor([[False, False, False, True]])).flatten().tolist() == [3, -1, -2, -torch.inf]


def test_gradients_reach_every_parameter_and_an_empty_utterance_harms_nobody():
    cbhg, x = build(), torch.randn(B, T, D, requires_grad=True)
    out = cbhg(x, torch.tensor([17, 0, 11]))
    out.square().sum().backward()
    assert out[1].eq(0).all() and x.grad.isfinite().all() and x.grad[1].eq(0).all()
    assert all(p.grad.isfinite().all() and p.grad.ne(0).any() for p in cbhg.parameters())
