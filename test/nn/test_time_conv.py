from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.time_conv import TimeConv
from speechkit.utils.lens import padding_mask

B, T, C, D = 2, 11, 3, 5


@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5])
def test_each_utterance_of_a_padded_batch_equals_torch_conv1d_with_zeros_around_it(taps):
    conv, x, lens = TimeConv(C, D, taps), torch.randn(B, T, C), torch.tensor([11, 4])
    x[1, 4:] = torch.nan
    out = conv(x, padding_mask(lens, T))
    for b, length in enumerate(lens):
        alone = F.pad(x[b, :length].T, ((taps - 1) // 2, taps // 2))
        torch.testing.assert_close(out[b, :length], F.conv1d(alone[None], conv.weight, conv.bias)[0].T)


def test_an_even_kernel_looks_one_frame_further_ahead_than_back():
    conv = TimeConv(1, 1, 2)
    conv.weight.data, conv.bias.data = torch.tensor([[[1.0, 10.0]]]), torch.zeros(1)
    assert conv(torch.tensor([[[1.0], [2.0], [3.0]]])).flatten().tolist() == [21, 32, 3]


def test_gradients_are_right():
    conv = TimeConv(2, 1, 4).double()
    x = torch.randn(B, 5, 2, dtype=torch.float64, requires_grad=True)
    padding = padding_mask(torch.tensor([3, 5]), 5)

    def call(x, weight, bias):
        return torch.func.functional_call(conv, {"weight": weight, "bias": bias}, (x, padding))

    assert torch.autograd.gradcheck(call, (x, conv.weight, conv.bias))
