from __future__ import annotations

import pytest
import torch
from torch import nn

from speechkit.train.optimizer import AdamW, OptimizerKind, ScaledAdam


@pytest.mark.parametrize("name", sorted(OptimizerKind.registry))
def test_every_optimizer_solves_a_small_regression(name):
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    x, target = torch.randn(50, 3), torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.0, 2.0]])
    optimizer = OptimizerKind.registry[name].Config(lr=0.05).build(network=net)
    for _ in range(400):
        optimizer.zero_grad()
        loss = (net(x) - x @ target.T).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02


def test_biases_and_norms_do_not_decay():
    net = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    decayed, kept = AdamW.Config(weight_decay=0.5).build(network=net).param_groups
    assert [p.shape for p in decayed["params"]] == [(2, 3)] and decayed["weight_decay"] == 0.5
    assert len(kept["params"]) == 3 and kept["weight_decay"] == 0.0


def test_scaled_adam_moves_in_proportion_to_the_parameters_size():
    steps = []
    for scale in (1.0, 100.0):
        p = nn.Parameter(scale * torch.tensor([1.0, -1.0, 1.0, -1.0]))
        optimizer = ScaledAdam([p], lr=0.01, rms_range=(1e-5, 1e9))
        p.grad = torch.tensor([1.0, 1.0, -1.0, -1.0])  # at right angles to p: the scale does not change
        before = p.detach().clone()
        optimizer.step()
        steps.append((p.detach() - before).norm().item() / scale)
    assert steps[0] == pytest.approx(steps[1], rel=1e-4) and steps[0] == pytest.approx(0.02, rel=1e-4)


def test_scaled_adam_learns_the_size_of_a_tensor_from_the_radial_gradient():
    p = nn.Parameter(torch.tensor([1.0, 1.0]))
    optimizer = ScaledAdam([p], lr=0.1, scale_lr=0.1)
    p.grad = p.detach().clone()  # the loss grows along p: the tensor must shrink
    optimizer.step()
    # size: factor 1 - 0.1*0.1*1; direction: -0.1 * rms * 1
    torch.testing.assert_close(p.detach(), torch.full((2,), 0.99 - 0.1), rtol=1e-4, atol=1e-5)
