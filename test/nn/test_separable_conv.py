from __future__ import annotations

import pytest
import torch

from speechkit.nn.separable_conv import DilatedSeparableConv
from speechkit.utils.lens import padding_mask


def test_a_layer_is_depthwise_norm_gelu_pointwise_norm_gelu_and_the_input():
    module = DilatedSeparableConv(4, 3, 1).double()
    x, cond = torch.randn(1, 5, 4).double(), torch.randn(1, 1, 4).double()
    given = x + cond
    filters, padded = module.depthwise[0].weight.squeeze(1), torch.cat([torch.zeros(1, 4), given[0], torch.zeros(1, 4)])
    y = torch.stack([(filters.T * padded[t : t + 3]).sum(0) for t in range(5)]) + module.depthwise[0].bias
    y = torch.nn.functional.gelu(module.norms[0](y))
    y = torch.nn.functional.gelu(module.pointwise_norms[0](module.pointwise[0](y)))
    torch.testing.assert_close(module(x, cond=cond)[0], given[0] + y)


def test_a_frame_sees_as_far_as_the_powers_of_the_kernel_size():
    module = DilatedSeparableConv(5, 3, 3).double()
    x = torch.randn(1, 61, 5).double()
    changed = x.clone()
    changed[0, 30, 0] += 1.0
    moved = ((module(changed) - module(x)).abs() > 1e-12).any(-1)[0].nonzero().flatten()
    assert (moved.min().item(), moved.max().item()) == (30 - 13, 30 + 13)  # 1 + 3 + 9


def test_an_utterance_alone_equals_itself_in_a_padded_batch():
    module = DilatedSeparableConv(4, 3, 2).double()
    x, lens = torch.randn(2, 17, 4).double(), torch.tensor([17, 11])
    out = module(x, padding_mask(lens))
    torch.testing.assert_close(out[1, :11], module(x[1:, :11])[0])
    assert (out[1, 11:] == 0).all()


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="expected an odd number, got 4; try 5"):
        DilatedSeparableConv(4, 4, 1)
