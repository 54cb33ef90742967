"""The contract of every encoder, over the registry, every position and every subsampling."""

from __future__ import annotations

import math

import pytest
import torch

import speechkit.models.encoder
from speechkit.config import Config, ConfigError, dump, validate
from speechkit.models.encoder.base import Encoder, mask_if_padded

F_BINS = 23
LENS = torch.tensor([71, 50, 39])
POSITIONS = ["relative", "rotary", "sinusoidal", "convolutional", "none"]
SMALL = {"dim": 12, "num_layers": 2, "num_heads": 3, "ff_dim": 20, "kernel_size": 5, "dropout": 0.0}


def small(name: str, **options) -> dict:
    """Options of the encoder ``name``: those of ``SMALL`` that it has, and ``options``."""
    fields = Encoder.registry[name].Config.model_fields
    return {"name": name, **{key: value for key, value in SMALL.items() if key in fields}, **options}


def variants() -> list[dict]:
    cases = [small("conformer", conv_norm="layer"), small("lstm", projection_dim=5)]
    for name, cls in Encoder.registry.items():
        cases += [small(name, subsampling=subsampling) for subsampling in ("vgg", "stack")]
        if "position" in cls.Config.model_fields:
            cases += [small(name, position=position) for position in POSITIONS]
        else:
            cases.append(small(name))
    return cases


def build(options: dict) -> Encoder:
    torch.manual_seed(0)
    return validate(Encoder.registry[options["name"]].Config, options).build(in_dim=F_BINS)


def case_id(options: dict) -> str:
    shown = ("name", "position", "subsampling", "conv_norm", "projection_dim")
    return "-".join(str(options[key]) for key in shown if key in options)


every_variant = pytest.mark.parametrize("options", variants(), ids=case_id)


@every_variant
def test_an_utterance_alone_equals_itself_in_a_padded_batch(options):
    encoder = build(options).eval()
    feats = torch.randn(3, 71, F_BINS)
    out, out_lens = encoder(feats, LENS)
    assert out_lens.dtype == torch.int64 and out.shape == (3, out.shape[1], encoder.out_dim)
    for b, length in enumerate(LENS):
        alone, alone_lens = encoder(feats[b : b + 1, :length], LENS[b : b + 1])
        assert alone_lens[0] == out_lens[b] == alone.shape[1]
        torch.testing.assert_close(out[b, : out_lens[b]], alone[0], atol=2e-5, rtol=1e-4)


@every_variant
def test_more_padding_of_any_content_does_not_change_training(options):
    encoder = build(options).train()
    feats = torch.randn(3, 71, F_BINS)
    garbage = torch.full((3, 90, F_BINS), 1e3)
    for b, length in enumerate(LENS):
        garbage[b, :length] = feats[b, :length]
    gradients, outputs = [], []
    for batch in (feats, garbage):
        out, out_lens = encoder(batch, LENS)
        valid = torch.cat([out[b, :n] for b, n in enumerate(out_lens)])
        encoder.zero_grad()
        (valid * torch.linspace(-1, 1, valid.numel()).view_as(valid)).sum().backward()
        outputs.append(valid.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in encoder.parameters()]))
    torch.testing.assert_close(outputs[0], outputs[1], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], atol=2e-4, rtol=1e-3)


@every_variant
def test_the_gradient_reaches_every_parameter(options):
    encoder = build(options)
    out, _ = encoder(torch.randn(3, 71, F_BINS), LENS)
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@every_variant
def test_the_state_makes_a_round_trip(options):
    encoder, feats = build(options), torch.randn(2, 71, F_BINS)
    encoder(feats, LENS[:2])  # running statistics leave their initial values
    encoder.eval()
    torch.manual_seed(5)
    other = encoder.__class__(validate(encoder.Config, options), in_dim=F_BINS).eval()
    assert not torch.allclose(other(feats, LENS[:2])[0], encoder(feats, LENS[:2])[0])
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(feats, LENS[:2])[0], encoder(feats, LENS[:2])[0])


@every_variant
def test_an_utterance_too_short_has_length_zero_and_harms_nobody(options):
    encoder = build(options)
    feats = torch.randn(2, 71, F_BINS)
    out, out_lens = encoder(feats, torch.tensor([71, 0]))
    assert out_lens[1] == 0 and out.isfinite().all()
    out, out_lens = encoder(feats[:, :1], torch.tensor([1, 1]))
    assert out.isfinite().all() and out.shape[1] >= 1 and (out_lens <= out.shape[1]).all()
    out.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


@every_variant
def test_bfloat16_autocast_is_close_to_float32(options):
    encoder, feats = build(options), torch.randn(3, 71, F_BINS)
    expected, out_lens = encoder.eval()(feats, LENS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got, _ = encoder(feats, LENS)
    for b, length in enumerate(out_lens):
        error = (got[b, :length].float() - expected[b, :length]).square().mean().sqrt()
        assert error < 0.05 * max(expected[b, :length].std(), 0.1), case_id(options)


@every_variant
def test_training_under_bfloat16_autocast_gives_nearly_the_gradient_of_float32(options):
    encoder, feats = build(options), torch.randn(3, 71, F_BINS)
    gradients = []
    for enabled in (False, True):
        encoder.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            out, out_lens = encoder(feats, LENS)
        valid = torch.cat([out[b, :n] for b, n in enumerate(out_lens)]).float()
        (valid * torch.linspace(-1, 1, valid.numel()).view_as(valid)).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in encoder.parameters()]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


@pytest.mark.parametrize("name", ["transformer"])
def test_without_position_the_order_of_frames_does_not_matter_else_it_does(name):
    order = torch.randperm(17, generator=torch.Generator().manual_seed(0))
    feats, lens = torch.randn(1, 17, F_BINS), torch.tensor([17])
    for position in POSITIONS:
        encoder = build(small(name, position=position, subsampling="stack", subsampling_factor=1))
        encoder.eval()
        straight, permuted = encoder(feats, lens)[0][:, order], encoder(feats[:, order], lens)[0]
        assert torch.allclose(straight, permuted, atol=1e-4) == (position == "none"), position


def test_dropout_and_layer_drop_act_in_training_only():
    feats, lens = torch.randn(1, 71, F_BINS), torch.tensor([71])
    for options in ({"dropout": 0.3}, {"num_layers": 7, "layer_drop": 0.5}):
        encoder = build(small("transformer", **options))
        outputs = [encoder(feats, lens)[0] for _ in range(4)]
        assert any(not torch.allclose(outputs[0], other) for other in outputs[1:])
        encoder.eval()
        assert torch.equal(encoder(feats, lens)[0], encoder(feats, lens)[0])


def test_defaults_have_the_published_size():
    encoder = Encoder.registry["conformer"].Config().build(in_dim=80)
    assert sum(p.numel() for p in encoder.parameters()) == 33_513_984
    assert encoder.subsampling_factor == 4 and encoder.out_dim == 256


def test_a_factor_that_the_subsampling_cannot_serve_is_a_config_error():
    class Run(Config):
        encoder: speechkit.models.encoder.conformer.Conformer.Config

    with pytest.raises(ConfigError, match="subsampling_factor: expected 2, 4, 8 for vgg, got 6"):
        validate(Run, {"encoder": {"name": "conformer", "subsampling": "vgg", "subsampling_factor": 6}})


@every_variant
def test_the_config_makes_a_round_trip(options):
    config = validate(Encoder.registry[options["name"]].Config, options)
    assert "subsampling_factor: 4" in dump(config)
    assert validate(type(config), config.model_dump(mode="json")) == config


def test_a_mask_is_made_only_where_something_is_padded():
    assert mask_if_padded(torch.tensor([3, 3]), 3) is None
    assert mask_if_padded(torch.tensor([3, 1]), 3).tolist() == [[False, False, False], [False, True, True]]
    assert math.prod(mask_if_padded(torch.tensor([2, 2]), 3).shape) == 6
