from __future__ import annotations

import itertools
import math

import pytest
import torch

from speechkit.config import ConfigError, validate
from speechkit.data.batch import Targets
from speechkit.models.decoder.las import Las
from speechkit.models.decoder.transformer import TransformerDecoder
from speechkit.objectives.attention import AttentionObjective
from speechkit.objectives.guided_attention import guided_attention
from speechkit.text.vocabulary import Vocabulary

B, S, D, V, U = 3, 11, 7, 5, 4
LENS, TOKEN_LENS = torch.tensor([11, 5, 8]), torch.tensor([4, 0, 3])
DECODERS = {
    "transformer": TransformerDecoder.Config(dim=6, num_layers=1, num_heads=3, ff_dim=5),
    "las": Las.Config(dim=5, attention_dim=3, num_filters=2, kernel_size=3),
}

every_decoder = pytest.mark.parametrize("name", DECODERS)


def build(name="transformer", **options):
    torch.manual_seed(0)
    config = AttentionObjective.Config(decoder=DECODERS[name], **options)
    decoder = config.decoder.build(in_dim=D, vocabulary=Vocabulary(V)).double().eval()
    return config.build(vocabulary=Vocabulary(V)), decoder


def batch():
    torch.manual_seed(1)
    encoder_out = torch.randn(B, S, D, dtype=torch.float64, requires_grad=True)
    return encoder_out, LENS, Targets(torch.randint(1, V - 1, (B, U)), TOKEN_LENS)


def token_log_probs(decoder, encoder_out, lens, sentence):
    """Step by step: log-probabilities (U + 1, V) after sos and each token."""
    state, rows = decoder.start(encoder_out, lens), []
    for token in [V - 1, *sentence]:
        log_probs, state = decoder.step(torch.tensor([token]), state)
        rows.append(log_probs[0])
    return torch.stack(rows)


@every_decoder
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_cross_entropy_of_each_token_and_the_end_given_those_before(name, smoothing):
    objective, decoder = build(name, label_smoothing=smoothing)
    encoder_out, lens, targets = batch()
    loss = objective(decoder, encoder_out, lens, targets)
    for b in range(B):
        sentence = targets.tokens[b, : TOKEN_LENS[b]].tolist()
        rows = token_log_probs(decoder, encoder_out[b : b + 1], lens[b : b + 1], sentence)
        wanted = torch.full_like(rows, smoothing / V)
        for u, token in enumerate([*sentence, V - 1]):
            wanted[u, token] += 1 - smoothing
        torch.testing.assert_close(loss[b], -(wanted * rows).sum())


@every_decoder
def test_without_smoothing_the_probabilities_of_all_sentences_and_unfinished_ones_sum_to_one(name):
    objective, decoder = build(name, label_smoothing=0.0)
    encoder_out, lens = batch()[0][:1].detach(), LENS[:1]
    objective.check_tokens = lambda targets: None  # the blank is one of the V tokens that have a probability
    total = 0.0
    for length in range(3):
        for sentence in itertools.product(range(V - 1), repeat=length):
            targets = Targets(torch.tensor([sentence], dtype=torch.int64), torch.tensor([length]))
            finished = math.exp(-objective(decoder, encoder_out, lens, targets).item())
            last = token_log_probs(decoder, encoder_out, lens, sentence)[-1, V - 1].exp().item()
            total += finished if length < 2 else finished / last  # the longest stand for all that begin with them
    assert total == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equal_scores_cost_ln_v_per_token_and_end(smoothing):
    objective, decoder = build(label_smoothing=smoothing)
    torch.nn.init.zeros_(decoder.out.weight)
    torch.nn.init.zeros_(decoder.out.bias)
    expected = (TOKEN_LENS + 1) * math.log(V)
    torch.testing.assert_close(objective(decoder, *batch()), expected.double(), rtol=1e-6, atol=0)


@every_decoder
def test_guided_attention_adds_its_penalty_for_the_tokens_and_the_end(name):
    plain, decoder = build(name)
    guided, _ = build(name, guided_attention=2.5, guided_attention_width=0.3)
    encoder_out, lens, targets = batch()
    tokens_in = torch.nn.functional.pad(targets.tokens, (1, 0), value=V - 1)
    _, weights = decoder.forward_with_weights(encoder_out, lens, tokens_in, TOKEN_LENS + 1)
    penalty = guided_attention(weights, TOKEN_LENS + 1, lens, 0.3)
    expected = plain(decoder, encoder_out, lens, targets) + 2.5 * penalty
    torch.testing.assert_close(guided(decoder, encoder_out, lens, targets), expected)
    assert penalty.gt(0).all()


@every_decoder
def test_gradients_with_every_option_are_right(name):
    objective, decoder = build(name, label_smoothing=0.2, guided_attention=1.0)
    encoder_out, *rest = batch()
    assert torch.autograd.gradcheck(lambda x: objective(decoder, x, *rest), encoder_out, fast_mode=True)


@every_decoder
def test_an_utterance_without_frames_costs_and_teaches_nothing(name):
    objective, decoder = build(name, guided_attention=1.0)
    encoder_out, _, targets = batch()
    lens = torch.tensor([11, 0, 8])
    assert objective.alignable(lens, targets).tolist() == [True, False, True]
    loss = objective(decoder, encoder_out, lens, targets)
    loss.sum().backward()
    assert loss[1] == 0 and encoder_out.grad[1].eq(0).all() and encoder_out.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in decoder.parameters())
    alone = objective(decoder, encoder_out[1:2, :0], lens[1:2], Targets(targets.tokens[1:2], TOKEN_LENS[1:2]))
    assert alone.tolist() == [0.0]


@pytest.mark.parametrize(
    ("wrong", "message"), [(0, "other than the blank 0, got 0 at place 1"), (V, f"got {V}"), (V - 1, "no end-of-sentence token")]
)
def test_a_token_that_cannot_be_in_a_transcript_is_named(wrong, message):
    objective, decoder = build()
    encoder_out, lens, targets = batch()
    targets.tokens[2, 1] = wrong
    with pytest.raises(ValueError, match=f"utterance 2 of the batch: .*{message}"):
        objective(decoder, encoder_out, lens, targets)


def test_a_decoder_that_does_not_attend_is_an_error_that_names_those_that_do():
    with pytest.raises(ConfigError, match="decoder: expected one of las, transformer, got 'linear'"):
        validate(AttentionObjective.Config, {"name": "attention", "decoder": "linear"})
