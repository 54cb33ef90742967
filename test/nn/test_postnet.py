from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.postnet import Postnet
from speechkit.utils.lens import padding_mask

B, T, D = 3, 17, 5
LENS = torch.tensor([11, 4, 7])


def build(**options):
    return Postnet(D, **{"hidden_dim": 7, "num_layers": 3, "kernel_size": 3, **options})


@pytest.mark.parametrize("training", [False, True])
def test_padding_does_not_change_the_output_and_is_zero(training):
    postnet, x = build(dropout=0.0).train(training), torch.randn(B, T, D)
    for norm in postnet.norms:
        norm.bias.data.normal_()
    short = postnet(x[:, :11], LENS)
    x = x.masked_fill(padding_mask(LENS, T).unsqueeze(2), torch.nan)
    out = postnet(x, LENS)
    torch.testing.assert_close(out[:, :11], short)
    assert out[padding_mask(LENS, T)].eq(0).all()


def test_it_equals_the_layers_of_the_paper_written_out():
    postnet, x = build().eval(), torch.randn(1, T, D)
    y = x.transpose(1, 2)
    for i, conv in enumerate(postnet.convs):
        y = F.conv1d(y, conv.weight, padding=1) / (1 + 1e-5) ** 0.5
        y = y.tanh() if i < 2 else y
    torch.testing.assert_close(postnet(x, torch.tensor([T])), x + y.transpose(1, 2))


def test_the_size_is_that_of_tacotron_2():
    # NVIDIA/tacotron2, model.py, less the convolutions' biases, which its batch norms take away.
    expected = 5 * (80 * 512 + 3 * 512 * 512 + 512 * 80) + 2 * (4 * 512 + 80)
    assert sum(p.numel() for p in Postnet(80).parameters()) == expected


def test_gradients_reach_every_parameter_and_no_padding():
    postnet, x = build(), torch.randn(B, T, D, requires_grad=True)
    postnet(x, LENS).square().sum().backward()
    assert all(p.grad.ne(0).any() for p in postnet.parameters())
    assert x.grad[padding_mask(LENS, T)].eq(0).all()
