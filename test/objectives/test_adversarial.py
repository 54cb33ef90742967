"""Adversarial losses: constants that are known, gradients that reach the right network, and a generator that learns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from speechkit.config import KINDS, validate
from speechkit.features.mel import HifiganMel
from speechkit.models.discriminator.combined import Combined
from speechkit.models.discriminator.multi_period import MultiPeriod
from speechkit.models.discriminator.multi_resolution import MultiResolution
from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.hifigan import HifiGan
from speechkit.objectives.adversarial import Adversarial, Hinge, LeastSquares, frozen
from speechkit.objectives.spectral import StftLoss
from speechkit.train.stepper import Stepper


class Says(nn.Module):
    """Two networks, which give recordings (positive samples) one score and others (negative samples) another."""

    def __init__(self, real: float, fake: float) -> None:
        super().__init__()
        self.real, self.fake = real, fake

    def forward(self, wav: torch.Tensor) -> list:
        scores = torch.where(wav > 0, self.real, self.fake)
        return [(scores, [wav]), (scores[:, :3].unsqueeze(1), [wav, 2 * wav])]


def small_discriminator() -> Combined:
    resolutions = MultiResolution.Config(resolutions=((32, 8, 32), (20, 5, 20)), dim=4)
    return Combined.Config(parts={"p": MultiPeriod.Config(periods=(2, 3), dim=32), "r": resolutions}).build()


def judged(adversarial: Adversarial, real: float, fake: float) -> tuple[torch.Tensor, torch.Tensor]:
    discriminator, wav = Says(real, fake), torch.ones(4, 7)
    turns = [turn(discriminator, wav, -wav) for turn in (adversarial.discriminator_losses, adversarial.generator_losses)]
    assert all(loss.shape == (4,) for turn in turns for loss in turn.values())
    torch.testing.assert_close(turns[0]["discriminator_real"] + turns[0]["discriminator_fake"], turns[0]["discriminator"])
    return turns[0]["discriminator"][0].item(), turns[1]["adversarial"][0].item()


@pytest.mark.parametrize(
    ("loss", "real", "fake", "discriminator", "generator"),
    [
        (LeastSquares.Config(), 1, 0, 0, 2),  # a perfect discriminator: 1 for each of two networks
        (LeastSquares.Config(), 1, 1, 2, 0),  # a perfect generator
        (LeastSquares.Config(), 0.5, 0.5, 1, 0.5),  # nobody knows: 1/4 of each kind and network
        (LeastSquares.Config(average=True), 1, 1, 1, 0),
        (Hinge.Config(), 1, -1, 0, 2),
        (Hinge.Config(), 3, -3, 0, 6),  # more than right is no better for the discriminator
        (Hinge.Config(), 0, 0, 4, 0),
        (Hinge.Config(), 1, 3, 8, -6),  # and a linear generator wants ever more
        (Hinge.Config(generator="clamped"), 1, -1, 0, 4),
        (Hinge.Config(generator="clamped"), 1, 3, 8, 0),
        (Hinge.Config(generator="clamped", average=True), 1, -1, 0, 2),
    ],
)
def test_losses_of_scores_that_are_known(loss, real, fake, discriminator, generator):
    assert judged(loss.build(), real, fake) == (discriminator, generator)


def test_feature_matching_is_zero_for_equal_waveforms_and_the_sum_of_mean_differences_else():
    adversarial, wav = LeastSquares.Config().build(), torch.randn(2, 97)
    discriminator = small_discriminator()
    assert (adversarial.generator_losses(discriminator, wav, wav.clone())["feature_matching"] == 0).all()
    fake = torch.randn(2, 97)
    on_real, on_fake = discriminator(wav), discriminator(fake)
    expected = torch.zeros(2)
    for (real_scores, real_maps), (fake_scores, fake_maps) in zip(on_real, on_fake, strict=True):
        for theirs, ours in zip([*real_maps, real_scores], [*fake_maps, fake_scores], strict=True):
            expected += torch.stack([(theirs[b] - ours[b]).abs().mean() for b in range(2)])
    torch.testing.assert_close(adversarial.feature_matching(on_real, on_fake), expected)
    assert (expected > 0).all()


def test_feature_matching_leaves_out_scores_and_averages_as_it_is_told():
    real, fake = (
        [
            (
                torch.tensor([[value]]),
                [
                    torch.tensor(
                        [
                            [value],
                        ]
                    ),
                    torch.tensor([[2 * value]]),
                ],
            )
        ]
        for value in (0.0, 1.0)
    )
    cases = [({}, 4.0), ({"match_scores": False}, 3.0), ({"average": True}, 4 / 3)]
    for options, expected in cases:
        got = LeastSquares.Config(**options).build().feature_matching(real, fake)
        torch.testing.assert_close(got, torch.tensor([expected]))


def test_a_weight_of_zero_leaves_feature_matching_out():
    adversarial = Hinge.Config(weight=3.0, feature_matching_weight=0.0).build()
    losses = adversarial.generator_losses(small_discriminator(), torch.randn(2, 97), torch.randn(2, 97))
    assert list(losses) == ["adversarial"] and adversarial.weights == {"discriminator": 1.0, "adversarial": 3.0}


@pytest.mark.parametrize("name", Adversarial.registry)
def test_each_turn_gives_gradients_to_its_own_network_only(name):
    adversarial, discriminator = Adversarial.registry[name].Config().build(), small_discriminator()
    real, fake = torch.randn(2, 97), torch.randn(2, 97, requires_grad=True)
    adversarial.discriminator_losses(discriminator, real, fake)["discriminator"].sum().backward()
    assert fake.grad is None
    untouched = [key for key, parameter in discriminator.named_parameters() if not parameter.grad.any()]
    assert all(key.endswith("score.bias") for key in untouched)  # of which real and fake want the opposite
    discriminator.zero_grad(set_to_none=True)
    losses = adversarial.generator_losses(discriminator, real, fake)
    assert all(parameter.requires_grad for parameter in discriminator.parameters())
    sum(loss.sum() for loss in losses.values()).backward()
    assert (fake.grad != 0).all() and all(parameter.grad is None for parameter in discriminator.parameters())


def test_freezing_does_not_change_the_gradient_of_the_input_and_thaws_after_an_error():
    discriminator, gradients = small_discriminator(), []
    first = next(discriminator.parameters()).requires_grad_(False)  # what was frozen before stays so
    wav = torch.randn(2, 97)
    for freeze in (False, True):
        x = wav.clone().requires_grad_()
        if freeze:
            with frozen(discriminator):
                scores = [score for score, _ in discriminator(x)]
        else:
            scores = [score for score, _ in discriminator(x)]
        sum(score.square().sum() for score in scores).backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)
    with pytest.raises(KeyError), frozen(discriminator):
        raise KeyError
    assert not first.requires_grad and sum(not p.requires_grad for p in discriminator.parameters()) == 1


def test_the_loss_of_a_segment_does_not_depend_on_its_batch():
    adversarial, discriminator = LeastSquares.Config().build(), small_discriminator().eval()
    real, fake = torch.randn(3, 97), torch.randn(3, 97)
    for turn in (adversarial.discriminator_losses, adversarial.generator_losses):
        together, alone = turn(discriminator, real, fake), turn(discriminator, real[1:2], fake[1:2])
        for key in together:
            torch.testing.assert_close(together[key][1:2], alone[key])


def test_losses_are_float32_whatever_the_model_runs_in():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = (
            LeastSquares.Config().build().generator_losses(small_discriminator(), torch.randn(2, 97), torch.randn(2, 97))
        )
    assert all(loss.dtype == torch.float32 for loss in losses.values())


def test_yaml_can_choose_them():
    config = validate(KINDS["adversarial"].registry["hinge"].Config, {"name": "hinge", "generator": "clamped"})
    assert isinstance(config.build(), Hinge)


@dataclass(frozen=True)
class Segments:
    ids: list[str]
    feats: torch.Tensor
    wav: torch.Tensor

    def __len__(self) -> int:
        return len(self.ids)


class VocoderToy:
    """One segment, a generator and its discriminator, in the turns of the module's docstring."""

    def __init__(self) -> None:
        generator = HifiGan.Config(dim=16, upsample_rates=(4, 2), kernel_sizes=(3, 5), dilations=((1, 3), (1, 3)))
        self.networks = {
            "discriminator": small_discriminator(),
            "generator": generator.build(given=VocoderInput(5, 8, 16000)),
        }
        self.adversarial = LeastSquares.Config().build()
        stft = StftLoss.Config(resolutions=((64, 16, 64), (32, 8, 32)))
        self.stft = stft.build(featurizer=HifiganMel.Config().build())
        self.weights = {**self.adversarial.weights, "stft": 45.0}

    def losses(self, batch):
        fake = self.networks["generator"](batch.feats)
        yield "discriminator", self.adversarial.discriminator_losses(self.networks["discriminator"], batch.wav, fake)
        losses = self.adversarial.generator_losses(self.networks["discriminator"], batch.wav, fake)
        yield "generator", {**losses, "stft": self.stft(fake, batch.wav)}


def test_a_tiny_generator_learns_a_segment_by_heart_in_50_steps():
    task = VocoderToy()
    time = torch.arange(37 * 8) / 16000
    wav = 0.4 * torch.sin(2 * math.pi * 700 * time) + 0.2 * torch.sin(2 * math.pi * 2300 * time)
    batch = Segments(["a"], torch.randn(1, 37, 5), (wav + 0.05 * torch.randn(len(wav))).unsqueeze(0))
    rates = {"discriminator": 0.002, "generator": 0.01}
    optimizers = {
        name: torch.optim.AdamW(network.parameters(), lr=rates[name], betas=(0.8, 0.99))
        for name, network in task.networks.items()
    }
    stepper = Stepper(task, optimizers, 0.0, "float32", torch.device("cpu"))
    reports = [stepper.step([batch]) for _ in range(50)]
    assert all(not report.skipped and set(report.grad_norms) == set(task.networks) for report in reports)
    first, last = reports[0].losses["stft"], reports[-1].losses["stft"]
    assert first > 2 and last < 1.2  # 2.5 and 1.0 when this was written
