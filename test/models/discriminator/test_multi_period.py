"""The multi-period discriminator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from speechkit.models.discriminator.multi_period import MultiPeriod, PeriodNetwork
from speechkit.nn.weight_norm import remove_weight_norm


@pytest.mark.parametrize("length", [30, 31, 34])
def test_the_table_is_a_reshape_with_a_mirrored_end(length):
    wav = torch.randn(2, length)
    padded = np.pad(wav.numpy(), [(0, 0), (0, -length % 5)], mode="reflect")
    np.testing.assert_array_equal(PeriodNetwork(5, 32).columns(wav).numpy(), padded.reshape(2, -1, 5).transpose(0, 2, 1))


def test_a_sample_changes_what_its_column_says_and_nothing_else():
    network, wav = PeriodNetwork(7, 32).eval(), torch.randn(1, 7 * 19)
    before, maps_before = network(wav)
    wav[0, 7 * 9 + 3] += 1.0
    after, maps_after = network(wav)
    for old, new in [(before, after), *zip(maps_before, maps_after, strict=True)]:
        changed = (new != old)[0].flatten(1).any(1)  # per column
        assert changed.tolist() == [column == 3 for column in range(7)]


def test_it_is_the_convolution_over_two_axes_of_the_paper():
    network, wav = PeriodNetwork(3, 32), torch.randn(2, 3 * 83)
    x = wav.view(2, 1, 83, 3)
    for i, conv in enumerate(network.stack.convs):
        x = F.conv2d(x, conv.weight.unsqueeze(-1), conv.bias, stride=(3 if i < 4 else 1, 1), padding=(2, 0))
        x = F.leaky_relu(x, 0.1)
    expected = F.conv2d(x, network.stack.score.weight.unsqueeze(-1), network.stack.score.bias, padding=(1, 0))
    scores, maps = network(wav)
    torch.testing.assert_close(scores, expected[:, 0].transpose(1, 2))
    torch.testing.assert_close(maps[-1], x.permute(0, 3, 1, 2))


def test_it_has_the_parameters_of_the_published_implementation():
    with torch.device("meta"):
        discriminator = MultiPeriod.Config().build()
        remove_weight_norm(discriminator)
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 41_092_165  # jik876/hifi-gan
    assert [network.period for network in discriminator.networks] == [2, 3, 5, 7, 11]
