from __future__ import annotations

import pytest

from speechkit.models.acoustic.post_net import PostnetConfig


def test_a_post_net_has_the_layers_channels_and_taps_that_are_asked_for():
    postnet = PostnetConfig(postnet_dim=7, postnet_layers=3, postnet_kernel=5).make_postnet(4)
    assert [tuple(conv.weight.shape) for conv in postnet.convs] == [(7, 4, 5), (7, 7, 5), (4, 7, 5)]


def test_one_layer_is_too_few():
    with pytest.raises(ValueError, match="postnet_layers"):
        PostnetConfig(postnet_layers=1)
