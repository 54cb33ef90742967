from __future__ import annotations

import pytest
import torch
from toy import ToyBatch, ToyTask
from torch import nn

from speechkit.train.stepper import Stepper

CPU = torch.device("cpu")


def batch(sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(sum(sizes), 4, generator=generator), torch.randn(sum(sizes), 1, generator=generator)
    ids = [f"u{i}" for i in range(sum(sizes))]
    parts = zip(x.split(sizes), y.split(sizes))
    return [ToyBatch(ids[: len(a)], a, b) for a, b in parts]


class Plain(ToyTask):
    def __init__(self):
        super().__init__()
        self.networks["model"] = nn.Linear(4, 1)
        with torch.no_grad():
            self.networks["model"].weight.fill_(0.1)


def stepped(batches, max_norm=0.0, precision="float32"):
    task = Plain()
    optimizer = torch.optim.SGD(task.networks["model"].parameters(), lr=0.1)
    report = Stepper(task, {"model": optimizer}, max_norm, precision, CPU).step(batches)
    return task.networks["model"], report


def test_micro_batches_of_unequal_size_equal_one_batch():
    whole, a = stepped(batch([7]))
    parts, b = stepped(batch([2, 4, 1]))
    torch.testing.assert_close(whole.weight, parts.weight)
    assert a.loss == pytest.approx(b.loss) and a.losses == pytest.approx(b.losses)


def test_the_loss_is_the_weighted_mean_per_utterance():
    _, report = stepped(batch([5]))
    untrained, data = Plain().networks["model"], batch([5])[0]
    expected = (untrained(data.x) - data.y).square().mean().item()
    assert report.losses["square"] == pytest.approx(expected) and report.loss == pytest.approx(2 * expected)


def test_values_without_a_weight_are_logged_and_not_learned():
    class Talking(Plain):
        def losses(self, batch):
            ((network, losses),) = super().losses(batch)
            yield network, losses | {"square.half": losses["square"] / 2}

    task, (net, plain) = Talking(), stepped(batch([2, 3]))
    optimizer = torch.optim.SGD(task.networks["model"].parameters(), lr=0.1)
    report = Stepper(task, {"model": optimizer}, 0.0, "float32", CPU).step(batch([2, 3]))
    assert report.losses == pytest.approx({"square": plain.losses["square"], "square.half": plain.losses["square"] / 2})
    assert report.loss == plain.loss and torch.equal(task.networks["model"].weight, net.weight)


def test_clipping_bounds_the_update():
    net, report = stepped(batch([5]), max_norm=1e-3)
    start = Plain().networks["model"]
    assert report.grad_norms["model"] > 1e-3
    assert (net.weight - start.weight).norm() <= 0.1 * 1e-3 + 1e-7


def test_bfloat16_steps_are_close_to_float32():
    a, _ = stepped(batch([5]))
    b, _ = stepped(batch([5]), precision="bfloat16")
    torch.testing.assert_close(a.weight, b.weight, rtol=0.05, atol=0.02)


def test_a_bad_micro_batch_leaves_no_trace_of_the_good_one_before_it_and_is_named():
    task, data = ToyTask(), batch([3, 2])
    data[1].x[0], data[1].y[1] = float("inf"), float("nan")
    before = {name: tensor.clone() for name, tensor in task.networks["model"].state_dict().items()}
    optimizer = torch.optim.SGD(task.networks["model"].parameters(), lr=0.1)
    report = Stepper(task, {"model": optimizer}, 0.0, "float32", CPU).step(data)
    assert report.skipped == "the gradient norm of model is nan"
    for name, tensor in task.networks["model"].state_dict().items():
        assert torch.equal(tensor, before[name]), name


class Gan:
    """A generator g and a critic d, each a number: d is updated on g's old value, g on d's new one."""

    def __init__(self):
        self.networks = {name: nn.ParameterDict({"w": nn.Parameter(torch.tensor([v]))}) for name, v in (("d", 2.0), ("g", 3.0))}
        self.weights = {"critic": 1.0, "fool": 1.0}

    def losses(self, batch):
        d, g = (self.networks[name]["w"] for name in "dg")
        yield "d", {"critic": (d * g.detach()).expand(len(batch))}
        yield "g", {"fool": (d * g).expand(len(batch))}


def test_two_networks_are_updated_in_turn_and_never_by_the_others_loss():
    task, data = Gan(), batch([3])
    optimizers = {name: torch.optim.SGD(net.parameters(), lr=0.1) for name, net in task.networks.items()}
    Stepper(task, optimizers, 0.0, "float32", CPU).step(data)
    assert task.networks["d"]["w"].item() == pytest.approx(2.0 - 0.1 * 3.0)
    assert task.networks["g"]["w"].item() == pytest.approx(3.0 - 0.1 * 1.7)  # sees the critic after its update
    assert all(p.grad is None for net in task.networks.values() for p in net.parameters())


def test_after_a_bad_critic_the_generator_still_has_its_turn():
    torch.manual_seed(0)
    generator, critic = nn.Sequential(nn.Linear(4, 1), nn.BatchNorm1d(1)), nn.Linear(1, 1)
    task = Gan()
    task.networks = {"d": critic, "g": generator}

    def losses(batch):
        fake = generator(batch.x)
        yield "d", {"critic": critic(fake.detach()).squeeze(1) * float("nan")}
        yield "g", {"fool": critic(fake).squeeze(1) + generator[0].bias}

    task.losses = losses
    before = critic.weight.clone(), generator[0].bias.clone()
    optimizers = {name: torch.optim.SGD(net.parameters(), lr=0.1) for name, net in task.networks.items()}
    report = Stepper(task, optimizers, 0.0, "float32", CPU).step(batch([3]))
    assert "of d is nan" in report.skipped
    assert torch.equal(critic.weight, before[0]) and not torch.equal(generator[0].bias, before[1])
