"""A stack of convolutions whose outputs are all kept."""

from __future__ import annotations

import torch
from torch import nn

from speechkit.models.discriminator.layers import ScoringStack


def test_feature_maps_are_what_the_next_layer_reads():
    convs, score, x = [nn.Conv1d(1, 3, 3), nn.Conv1d(3, 5, 3)], nn.Conv1d(5, 1, 3), torch.randn(2, 1, 17)
    scores, maps = ScoringStack(convs, score, slope=0.25)(x)
    first = convs[0](x)
    torch.testing.assert_close(maps[0], torch.where(first > 0, first, first / 4))
    second = convs[1](maps[0])
    torch.testing.assert_close(maps[1], torch.where(second > 0, second, second / 4))
    torch.testing.assert_close(scores, score(maps[1])[:, 0])
    assert len(maps) == 2 and scores.shape == (2, 11)
