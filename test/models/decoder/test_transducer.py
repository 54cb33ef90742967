from __future__ import annotations

import pytest
import torch

import speechkit.models.predictor  # noqa: F401 - registers them
from speechkit.models.decoder.transducer import Transducer
from speechkit.models.predictor.base import Predictor
from speechkit.text.vocabulary import Vocabulary


def build(**options):
    torch.manual_seed(0)
    return Transducer.Config(joiner_dim=7, **options).build(in_dim=8, vocabulary=Vocabulary(5))


def logits_of(decoder):
    """(B, S, U + 1, V), all at once."""
    encoded = decoder.joiner.encoder_proj(torch.randn(2, 9, 8))
    predicted = decoder.joiner.predictor_proj(decoder.predictor(torch.tensor([[1, 2, 3], [3, 2, 9]]), torch.tensor([3, 2])))
    return decoder.joiner(encoded.unsqueeze(2), predicted.unsqueeze(1))


def test_the_joiner_equals_its_formula():
    joiner = build().eval().joiner
    encoded, predicted = torch.randn(2, 9, 1, 8), torch.randn(2, 1, 4, 256)
    hidden = encoded @ joiner.encoder_proj.weight.T + joiner.encoder_proj.bias
    hidden = (hidden + predicted @ joiner.predictor_proj.weight.T + joiner.predictor_proj.bias).tanh()
    expected = hidden @ joiner.out.weight.T + joiner.out.bias
    torch.testing.assert_close(joiner(joiner.encoder_proj(encoded), joiner.predictor_proj(predicted)), expected)


@pytest.mark.parametrize("predictor", sorted(Predictor.registry))
def test_the_gradient_reaches_every_parameter_with_every_predictor(predictor):
    decoder = build(predictor=Predictor.registry[predictor].Config())
    logits = logits_of(decoder)
    assert logits.shape == (2, 9, 4, 5)
    (logits * torch.randn_like(logits)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


def test_the_simple_joiner_is_there_when_it_is_asked_for():
    assert build().simple_encoder_proj is None and build().simple_predictor_proj is None
    decoder = build(simple_joiner=True)
    simple = decoder.simple_encoder_proj(torch.randn(2, 9, 8))
    simple = simple.unsqueeze(2) + decoder.simple_predictor_proj(torch.randn(2, 4, 256)).unsqueeze(1)
    assert simple.shape == (2, 9, 4, 5)


def test_dropout_of_the_encodings_is_for_training_only():
    encoded = torch.randn(2, 9, 8)
    training = build(dropout=0.5).joiner.encoder_proj
    assert not torch.equal(training(encoded), training(encoded))
    evaluation = training.eval()
    assert torch.equal(evaluation(encoded), torch.nn.functional.linear(encoded, training.weight, training.bias))
