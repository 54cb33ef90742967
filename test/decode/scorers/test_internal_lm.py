from __future__ import annotations

import pytest
import torch

from speechkit.config import ConfigError, validate
from speechkit.decode.scorers.internal_lm import InternalLmScorer
from speechkit.models.decoder.las import Las
from speechkit.models.decoder.linear import Linear
from speechkit.models.decoder.transducer import Transducer
from speechkit.models.decoder.transformer import TransformerDecoder
from speechkit.models.predictor.base import Predictor
from speechkit.text.vocabulary import Vocabulary

D, V = 5, 7
ATTENTION = {
    "transformer": TransformerDecoder.Config(dim=6, num_layers=2, num_heads=3, ff_dim=5),
    "las": Las.Config(dim=5, num_layers=2, attention_dim=3, num_filters=2, kernel_size=3),
}


def build(config):
    torch.manual_seed(1)
    return config.build(in_dim=D, vocabulary=Vocabulary(V)).eval()


def scorer(**options):
    return validate(InternalLmScorer.Config, options).build(vocabulary=Vocabulary(V))


def walk(scorer, decoder, tokens):
    """Scores (U + 1, V) of the tokens after each prefix."""
    state = scorer.start({"it": decoder}, 1)
    rows = [scorer.score(state)]
    for token in tokens:
        state = scorer.advance(state, torch.tensor([0]), torch.tensor([token]))
        rows.append(scorer.score(state))
    return torch.cat(rows)


@pytest.mark.parametrize("predictor", sorted(Predictor.registry))
@torch.no_grad()
def test_a_transducer_is_asked_without_the_encoders_term_and_without_blank_and_end(predictor):
    decoder = build(Transducer.Config(predictor=Predictor.registry[predictor].Config(dim=12), joiner_dim=6))
    predicted = decoder.predictor(torch.tensor([[2, 4, 3]]), torch.tensor([3]))[0]
    probs = torch.softmax(decoder.joiner.out(decoder.joiner.predictor_proj(predicted).tanh())[:, 1:-1], -1)
    found = walk(scorer(), decoder, [2, 4, 3])
    torch.testing.assert_close(found[:, 1:-1].exp(), probs)
    assert not found[:, [0, V - 1]].any()


@pytest.mark.parametrize("name", ATTENTION)
@torch.no_grad()
def test_an_attention_decoder_is_asked_about_an_utterance_without_frames(name):
    decoder = build(ATTENTION[name])
    tokens = torch.tensor([[6, 2, 4, 3]])
    logits = decoder(torch.zeros(1, 0, D), torch.tensor([0]), tokens, torch.tensor([4]))
    torch.testing.assert_close(walk(scorer(), decoder, [2, 4, 3]), logits[0].log_softmax(-1))


@torch.no_grad()
def test_the_context_of_las_is_zero():
    decoder = build(ATTENTION["las"])
    x, out = torch.cat([decoder.embedding.weight[6], torch.zeros(D)]), None
    for lstm in decoder.lstm:
        x = lstm(x)[0]
    out = decoder.out(decoder.readout(torch.cat([x, torch.zeros(D)])).tanh()).log_softmax(-1)
    torch.testing.assert_close(walk(scorer(), decoder, [])[0], out)


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_decoders_read_histories_of_different_length_as_each_alone(name):
    decoder, internal = build(ATTENTION[name]), scorer()
    state = internal.start({"it": decoder}, 2)
    state = internal.advance(state, torch.tensor([1, 0, 1]), torch.tensor([2, 3, 0]))  # 2 | 3 | nothing
    state = internal.advance(state, torch.tensor([2, 0, 1, 0]), torch.tensor([5, 4, 0, 0]))
    state = internal.advance(state, torch.tensor([1, 3, 0]), torch.tensor([3, 0, 4]))
    for row, tokens in zip(internal.score(state), [(2, 4, 3), (2,), (5, 4)], strict=True):
        torch.testing.assert_close(row, walk(internal, decoder, tokens)[-1], rtol=1e-4, atol=1e-5)


def test_the_decoder_is_named_or_the_first_that_has_an_internal_language_model():
    decoders = {"ctc": build(Linear.Config()), "las": build(ATTENTION["las"]), "transformer": build(ATTENTION["transformer"])}
    assert scorer().network(decoders).decoder is decoders["las"]
    assert scorer(objective="transformer").network(decoders).decoder is decoders["transformer"]
    with pytest.raises(ValueError, match="internal_lm: expected ctc with a transducer or attention decoder, got objectives ctc, las"):
        scorer(objective="ctc").network(decoders)
    with pytest.raises(ValueError, match="expected an objective with a transducer .* got objectives none"):
        scorer().network({})


def test_it_is_subtracted_or_refused():
    assert scorer().config.scale < 0
    with pytest.raises(ConfigError, match="scale: expected less than or equal to 0"):
        scorer(scale=0.3)
