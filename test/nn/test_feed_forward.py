from __future__ import annotations

import torch

from speechkit.nn.feed_forward import FeedForward


def test_feed_forward_equals_its_formula():
    torch.manual_seed(0)
    module = FeedForward(dim=6, hidden_dim=11, activation="relu", dropout=0.0)
    x = torch.randn(2, 5, 6)
    hidden = (x @ module.expand.weight.T + module.expand.bias).clamp(min=0)
    torch.testing.assert_close(module(x), hidden @ module.contract.weight.T + module.contract.bias)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    module = FeedForward(dim=6, hidden_dim=11, dropout=0.5)
    x = torch.randn(2, 5, 6)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))
