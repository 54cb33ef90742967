from __future__ import annotations

import torch
import torch.nn.functional as F

from speechkit.models.encoder.fft import FeedForwardTransformer, FftLayer

OPTIONS = {"dim": 12, "num_heads": 3, "ff_dim": 20, "dropout": 0.0}


def test_a_block_is_attention_and_then_two_convolutions():
    layer = FftLayer(FeedForwardTransformer.Config(**OPTIONS, kernel_sizes=(3, 1)))
    x = torch.randn(2, 7, 12)
    attended = x + layer.attention(layer.norm_attention(x))
    y = layer.norm_feed(attended).transpose(1, 2)
    y = F.conv1d(y, layer.feed.expand.weight, layer.feed.expand.bias, padding=1).relu().transpose(1, 2)
    expected = attended + y @ layer.feed.contract.weight.T + layer.feed.contract.bias
    torch.testing.assert_close(layer(x, None, None, None), expected)


def test_positions_are_added_to_the_input_as_it_is():
    config = FeedForwardTransformer.Config(**OPTIONS, num_layers=1, subsampling="stack", subsampling_factor=1)
    encoder, seen = config.build(in_dim=5), []
    encoder.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(1, 7, 5)
    encoder(x, torch.tensor([7]))
    rates = 10000.0 ** (-torch.arange(0, 12, 2) / 12)
    angles = torch.arange(7).unsqueeze(1) * rates
    table = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
    torch.testing.assert_close(seen[0], encoder.subsampling(x) + table, atol=1e-5, rtol=1e-4)
