from __future__ import annotations

import pytest
import torch

from speechkit.nn.conv_lstm import ConvLstm, ConvStack
from speechkit.utils.lens import padding_mask

B, U, D, E = 3, 11, 5, 6
LENS = torch.tensor([11, 4, 7])


def test_as_many_tokens_come_out_as_go_in_and_padding_is_zero():
    encoder = ConvLstm(D, E)
    out = encoder(torch.randn(B, U, D), LENS)
    assert out.shape == (B, U, encoder.out_dim) == (3, 11, 6)
    assert out[1, 4:].eq(0).all() and out[1, :4].ne(0).all()


@pytest.mark.parametrize("kind", [ConvLstm, ConvStack])
def test_padding_does_not_change_the_output(kind):
    encoder, x = kind(D, E, num_layers=2).eval(), torch.randn(B, U, D)
    whole = encoder(x.masked_fill(padding_mask(LENS, U).unsqueeze(2), torch.nan), LENS)
    for b, length in enumerate(LENS.tolist()):
        torch.testing.assert_close(encoder(x[b : b + 1, :length], LENS[b : b + 1]), whole[b : b + 1, :length])


def test_convolutions_see_their_neighbours_and_the_lstm_sees_all():
    x = torch.randn(1, U, D, requires_grad=True)
    for encoder, reach in (ConvStack(D, E, 2, 3, 0.0).eval(), 2), (ConvLstm(D, E, 2, 3, 0.0).eval(), U):
        (grad,) = torch.autograd.grad(encoder(x, torch.tensor([U]))[0, 5].sum(), x)
        seen = grad[0].ne(0).any(1).nonzero().flatten()
        assert seen.min() == max(0, 5 - reach) and seen.max() == min(U - 1, 5 + reach)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="dim: expected an even number, got 5; half of it goes to each side"):
        ConvLstm(D, 5)
