from __future__ import annotations

import pytest
import torch
from torch import nn

from speechkit.train.ema import Ema


def test_the_average_follows_its_recursion_and_counters_are_copied():
    net = nn.BatchNorm1d(1, affine=True)
    with torch.no_grad():
        net.weight.fill_(0.0)
    ema, expected = Ema(net, 0.5), 0.0
    for n, value in enumerate((1.0, 5.0, -2.0), 1):
        with torch.no_grad():
            net.weight.fill_(value)
        net.num_batches_tracked += 3
        ema.update(net)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    assert ema.average["weight"].item() == pytest.approx(expected)
    assert ema.average["num_batches_tracked"].item() == 9


def test_the_network_gets_its_own_weights_back_even_after_an_error():
    net = nn.Linear(2, 2)
    ema, own = Ema(net, 0.9), net.weight.detach().clone()
    with torch.no_grad():
        ema.average["weight"].zero_()
    with pytest.raises(RuntimeError), ema.applied(net):
        assert net.weight.eq(0).all()
        raise RuntimeError
    assert torch.equal(net.weight, own)
