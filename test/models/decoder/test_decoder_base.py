"""The contract of every decoder that scores frames, over the registry."""

from __future__ import annotations

import pytest
import torch

import speechkit.models.decoder  # noqa: F401
from speechkit.models.decoder.base import Decoder, FrameDecoder
from speechkit.text.vocabulary import Vocabulary

every_decoder = pytest.mark.parametrize("name", [n for n, c in Decoder.registry.items() if issubclass(c, FrameDecoder)])


def build(name: str) -> Decoder:
    torch.manual_seed(0)
    return Decoder.registry[name].Config().build(in_dim=8, vocabulary=Vocabulary(5))


@every_decoder
@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_output_is_a_distribution_in_float32(name, bfloat16):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        log_probs = build(name)(torch.randn(2, 7, 8))
    assert log_probs.shape == (2, 7, 5) and log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 7))


@every_decoder
def test_the_gradient_reaches_every_parameter(name):
    decoder = build(name)
    decoder(torch.randn(2, 7, 8))[..., 0].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


@every_decoder
def test_the_state_makes_a_round_trip(name):
    first = build(name).eval()
    torch.manual_seed(1)
    second = type(first)(first.Config(), in_dim=8, vocabulary=Vocabulary(5)).eval()
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 7, 8)
    assert torch.equal(first(x), second(x)) and first.vocabulary.size == 5
