"""Weight normalisation changes how weights are written, not what they are."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from speechkit.nn.weight_norm import add_weight_norm, remove_weight_norm


def network() -> nn.Module:
    return nn.Sequential(nn.Conv1d(3, 5, 3), nn.ConvTranspose1d(5, 7, 4), nn.Sequential(nn.Conv1d(7, 2, 1)))


def test_it_comes_and_goes_without_changing_the_output():
    plain, x = network(), torch.randn(2, 3, 11)
    normed = copy.deepcopy(plain)
    add_weight_norm(normed)
    torch.testing.assert_close(normed(x), plain(x))
    with torch.no_grad():  # as training does
        for parameter in normed.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    expected = normed(x)
    remove_weight_norm(normed)
    torch.testing.assert_close(normed(x), expected)
    assert normed.state_dict().keys() == plain.state_dict().keys()


def test_a_weight_is_a_length_times_a_direction():
    conv = nn.Sequential(nn.Conv1d(3, 5, 3))
    add_weight_norm(conv)
    length, direction = conv[0].parametrizations.weight.original0, conv[0].parametrizations.weight.original1
    with torch.no_grad():
        direction.mul_(torch.rand(5, 1, 1) + 1)  # which does not matter
        length.copy_(torch.arange(1.0, 6.0).view(5, 1, 1))
    torch.testing.assert_close(conv[0].weight.flatten(1).norm(dim=1), torch.arange(1.0, 6.0))


def test_a_spectrally_normalised_convolution_stays_as_it_is():
    net = network()
    spectral_norm(net[0])
    add_weight_norm(net)
    assert len(net[0].parametrizations.weight) == 1
    assert all(parametrize.is_parametrized(conv, "weight") for conv in (net[0], net[1], net[2][0]))
