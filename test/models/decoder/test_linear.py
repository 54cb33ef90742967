from __future__ import annotations

import torch

from speechkit.models.decoder.linear import Linear
from speechkit.text.vocabulary import Vocabulary


def test_linear_equals_its_formula():
    torch.manual_seed(0)
    decoder = Linear.Config(dropout=0.5).build(in_dim=8, vocabulary=Vocabulary(5)).eval()
    x = torch.randn(2, 7, 8)
    scores = (x @ decoder.out.weight.T + decoder.out.bias).exp()
    torch.testing.assert_close(decoder(x), (scores / scores.sum(-1, keepdim=True)).log())


def test_from_a_flat_start_every_token_is_equally_likely_whatever_is_heard():
    decoder = Linear.Config(flat_start=True).build(in_dim=8, vocabulary=Vocabulary(5))
    torch.testing.assert_close(decoder(torch.randn(2, 7, 8)), torch.full((2, 7, 5), 0.2).log())
