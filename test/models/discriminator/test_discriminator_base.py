"""The contract of every discriminator, over the registry."""

from __future__ import annotations

import pytest
import torch

from speechkit.config import validate
from speechkit.models.discriminator.base import Discriminator

LENGTH = 257
SMALL = {
    "multi_period": {"periods": [2, 5], "dim": 32},
    "multi_scale": {"num_scales": 2, "dim": 256},
    "multi_resolution": {"resolutions": [[32, 8, 24], [20, 5, 20]], "dim": 3},
    "parallel_wavegan": {"dim": 6, "num_layers": 4},
}
SMALL["combined"] = {"parts": {name: {"name": name, **SMALL[name]} for name in ("multi_period", "multi_resolution")}}
CASES = [{"name": name, **SMALL.get(name, {})} for name in Discriminator.registry]
CASES += [{**SMALL["multi_scale"], "name": "multi_scale", "style": "melgan"}]
CASES += [{**SMALL["multi_resolution"], "name": "multi_resolution", "spectrum": "complex"}]

every_discriminator = pytest.mark.parametrize(
    "options",
    CASES,
    ids=lambda options: "-".join(str(options[key]) for key in ("name", "style", "spectrum") if key in options),
)


def build(options: dict) -> Discriminator:
    torch.manual_seed(0)
    return validate(Discriminator.registry[options["name"]].Config, options).build()


@every_discriminator
def test_each_network_gives_scores_and_feature_maps_of_each_segment(options):
    for scores, maps in build(options)(torch.randn(3, LENGTH)):
        assert len(scores) == 3 and len(maps) >= 2 and all(len(each) == 3 for each in maps)
        assert scores.flatten(1).shape[1] > 0 and scores.flatten(1).std() > 0


@every_discriminator
def test_segments_of_a_batch_do_not_hear_each_other(options):
    discriminator, wav = build(options).eval(), torch.randn(2, LENGTH)
    for (both, maps), (alone, own) in zip(discriminator(wav), discriminator(wav[1:]), strict=True):
        torch.testing.assert_close(both[1:], alone)
        for of_both, of_one in zip(maps, own, strict=True):
            torch.testing.assert_close(of_both[1:], of_one)


@every_discriminator
def test_the_gradient_reaches_every_parameter_and_every_sample(options):
    discriminator, wav = build(options), torch.randn(2, LENGTH, requires_grad=True)
    sum((scores * torch.randn_like(scores)).sum() for scores, _ in discriminator(wav)).backward()
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert (wav.grad != 0).all()


@every_discriminator
def test_silence_has_finite_gradients(options):
    discriminator, wav = build(options), torch.zeros(2, LENGTH, requires_grad=True)
    sum(scores.sum() for scores, _ in discriminator(wav)).backward()
    assert wav.grad.isfinite().all()


@every_discriminator
def test_the_state_makes_a_round_trip(options):
    discriminator, wav = build(options), torch.randn(2, LENGTH)
    discriminator(wav)  # power iterations leave their initial values
    other = discriminator.config.build()
    other.load_state_dict(discriminator.state_dict())
    for (ours, _), (theirs, _) in zip(discriminator.eval()(wav), other.eval()(wav), strict=True):
        assert torch.equal(ours, theirs)


@every_discriminator
def test_bfloat16_autocast_is_close_to_float32(options):
    discriminator, wav = build(options).eval(), torch.randn(2, LENGTH)
    expected = discriminator(wav)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = discriminator(wav)
    for (ours, _), (theirs, _) in zip(expected, got, strict=True):
        assert (theirs.float() - ours).square().mean().sqrt() < 0.05 * ours.square().mean().sqrt() + 1e-3
