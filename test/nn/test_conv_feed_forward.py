from __future__ import annotations

import torch
import torch.nn.functional as F

from speechkit.nn.conv_feed_forward import ConvFeedForward
from speechkit.nn.feed_forward import FeedForward

B, T, D, H = 2, 7, 5, 11


def test_it_equals_two_convolutions_written_out():
    layer, x = ConvFeedForward(D, H, (3, 5)), torch.randn(1, T, D)
    y = F.conv1d(x.transpose(1, 2), layer.expand.weight, layer.expand.bias, padding=1).relu()
    y = F.conv1d(y, layer.contract.weight, layer.contract.bias, padding=2)
    torch.testing.assert_close(layer(x), y.transpose(1, 2))


def test_one_tap_is_the_ordinary_feed_forward_module():
    ours, theirs = ConvFeedForward(D, H, (1, 1)), FeedForward(D, H, "relu")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(B, T, D)
    torch.testing.assert_close(ours(x), theirs(x))


def test_padding_does_not_change_the_output():
    layer, x = ConvFeedForward(D, H, (9, 3)), torch.randn(B, T, D)
    x[1, 4:] = 1e4
    out = layer(x, torch.arange(T) >= torch.tensor([[7], [4]]))
    torch.testing.assert_close(out[1:, :4], layer(x[1:, :4]))
