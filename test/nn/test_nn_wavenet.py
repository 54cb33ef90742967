from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.wavenet import WaveNetStack
from speechkit.utils.lens import padding_mask


def stack(**options) -> WaveNetStack:
    options = {"dim": 6, "dilations": (1, 2, 4), "kernel_size": 3, **options}
    return WaveNetStack(**options).double().eval()


def test_two_layers_equal_the_equations_of_the_paper():
    module = stack(dim=2, dilations=(1, 2), kernel_size=2, cond_dim=3, skip_dim=5, causal=True, weight_norm=False)
    x, h = torch.randn(1, 7, 2).double(), torch.randn(1, 7, 3).double()
    first, second = module.layers()
    conditions = module.cond.weight.squeeze(2)  # (2 layers x (2 filters + 2 gates), 3)

    def z(layer, x, condition, dilation):
        rows = []
        for t in range(7):
            past = x[t - dilation] if t >= dilation else torch.zeros(2).double()
            a = layer.conv.weight[..., 0] @ past + layer.conv.weight[..., 1] @ x[t] + layer.conv.bias + condition @ h[0, t]
            rows.append(a[:2].tanh() * a[2:].sigmoid())
        return torch.stack(rows)

    one = z(first, x[0], conditions[:4], 1) @ first.out.weight.squeeze(2).T + first.out.bias
    two = z(second, x[0] + one[:, :2], conditions[4:], 2) @ second.out.weight.squeeze(2).T + second.out.bias
    torch.testing.assert_close(module(x, cond=h)[0], one[:, 2:] + two)


@pytest.mark.parametrize(("causal", "kernel_size"), [(True, 2), (True, 3), (False, 3)])
def test_a_frame_reaches_as_far_as_the_receptive_field_says(causal, kernel_size):
    module = stack(causal=causal, kernel_size=kernel_size)
    x = torch.randn(1, 61, 6).double()
    changed = x.clone()
    changed[0, 30] += 1.0
    moved = ((module(changed) - module(x)).abs() > 1e-12).any(-1)[0].nonzero().flatten()
    reach = module.receptive_field - 1
    assert reach == 7 * (kernel_size - 1)
    expected = (30, 30 + reach) if causal else (30 - reach // 2, 30 + reach // 2)
    assert (moved.min().item(), moved.max().item()) == expected


def test_a_dilated_filter_is_a_dense_one_with_zeros_between_its_taps():
    module = stack(dilations=(3,), causal=True, weight_norm=False)
    (layer,) = module.layers()
    dense = torch.zeros(12, 6, 7).double()
    dense[..., ::3] = layer.conv.weight
    x = torch.randn(2, 11, 6).double()
    hidden = F.conv1d(F.pad(x.transpose(1, 2), (6, 0)), dense, layer.conv.bias)
    z = hidden[:, :6].tanh() * hidden[:, 6:].sigmoid()
    torch.testing.assert_close(module(x), layer.out(z).transpose(1, 2))


def test_a_global_condition_equals_a_local_one_that_does_not_change():
    module = stack(cond_dim=5)
    x, cond = torch.randn(2, 11, 6).double(), torch.randn(2, 1, 5).double()
    torch.testing.assert_close(module(x, cond=cond), module(x, cond=cond.expand(2, 11, 5)))


@pytest.mark.parametrize("causal", [True, False])
def test_an_utterance_alone_equals_itself_in_a_padded_batch(causal):
    module = stack(cond_dim=5, causal=causal)
    x, cond, lens = torch.randn(2, 17, 6).double(), torch.randn(2, 17, 5).double(), torch.tensor([17, 11])
    out = module(x, padding_mask(lens, 17), cond)
    torch.testing.assert_close(out[1, :11], module(x[1:, :11], cond=cond[1:, :11])[0])
    assert (out[1, 11:] == 0).all()


def test_the_gradient_reaches_every_parameter():
    module = stack(cond_dim=5, skip_dim=4)
    module(torch.randn(2, 9, 6).double(), cond=torch.randn(2, 9, 5).double()).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected an odd number unless causal, got 4; try 5"):
        stack(kernel_size=4)
    with pytest.raises(ValueError, match="cond: expected one of 5 channels, got none"):
        stack(cond_dim=5)(torch.randn(1, 3, 6).double())
    with pytest.raises(ValueError, match="cond: expected none, got"):
        stack()(torch.randn(1, 3, 6).double(), cond=torch.randn(1, 3, 5).double())
