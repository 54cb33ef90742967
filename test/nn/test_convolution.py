from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.convolution import ConvolutionModule, DepthwiseConv
from speechkit.utils.lens import padding_mask


def torch_conv(module: DepthwiseConv, x: torch.Tensor) -> torch.Tensor:
    taps, dim = module.weight.shape
    weight = module.weight.T.unsqueeze(1)
    return F.conv1d(x.transpose(1, 2), weight, module.bias, padding=taps // 2, groups=dim).transpose(1, 2)


@pytest.mark.parametrize("taps", [1, 3, 31])
@pytest.mark.parametrize("length", [1, 2, 17, 40])
def test_the_depthwise_filter_equals_torch_conv1d(taps, length):
    torch.manual_seed(0)
    module = DepthwiseConv(dim=6, kernel_size=taps)
    x = torch.randn(2, length, 6, requires_grad=True)
    ours, theirs = module(x), torch_conv(module, x)
    torch.testing.assert_close(ours, theirs)
    probe = torch.randn_like(ours)
    inputs = (x, module.weight, module.bias)
    for a, b in zip(torch.autograd.grad(ours, inputs, probe), torch.autograd.grad(theirs, inputs, probe), strict=True):
        torch.testing.assert_close(a, b)


def test_the_depthwise_filter_passes_gradcheck():
    torch.manual_seed(0)
    module = DepthwiseConv(dim=3, kernel_size=5).double()
    x = torch.randn(2, 7, 3, dtype=torch.double, requires_grad=True)
    names = ["weight", "bias"]

    def call(x, *values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(call, (x, module.weight, module.bias))


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="expected an odd number >= 1, got 4; try 5"):
        DepthwiseConv(8, 4)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_padding_does_not_change_the_output(norm):
    torch.manual_seed(0)
    module = ConvolutionModule(dim=6, kernel_size=5, norm=norm)
    x, lens = torch.randn(2, 17, 6), torch.tensor([11, 8])
    short = padding_mask(lens, 11)
    long = padding_mask(lens, 17)
    torch.testing.assert_close(module(x, long)[~long], module(x[:, :11], short)[~short])


def test_the_module_without_norm_statistics_equals_the_paper():
    torch.manual_seed(0)
    module = ConvolutionModule(dim=6, kernel_size=3).eval()
    x = torch.randn(2, 9, 6)
    value, gate = module.expand(x).chunk(2, dim=-1)
    y = torch_conv(module.depthwise, value * gate.sigmoid()) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(module(x), module.contract(y * y.sigmoid()))
