from __future__ import annotations

import torch
from attention_cases import D, V, build

LENS = torch.tensor([11, 7])


def test_a_step_equals_its_formula():
    decoder = build("las_dot")
    encoder_out, token = torch.randn(2, 11, D, dtype=torch.float64), torch.tensor([2, 4])
    log_probs, _ = decoder.step(token, decoder.start(encoder_out, LENS))
    x = torch.cat([decoder.embedding(token), torch.zeros(2, D, dtype=torch.float64)], dim=-1)
    hidden, _ = decoder.lstm[0](x)
    query, keys = decoder.attention.query(hidden), decoder.attention.key(encoder_out)
    for b, length in enumerate(LENS):
        weights = (keys[b, :length] @ query[b] / 3**0.5).softmax(0)
        context = weights @ encoder_out[b, :length]
        logits = decoder.out(decoder.readout(torch.cat([hidden[b], context])).tanh())
        torch.testing.assert_close(log_probs[b], logits.log_softmax(-1))


def test_a_location_aware_one_knows_where_it_looked():
    decoder = build("las")
    _, state = decoder.step(torch.tensor([5, 5]), decoder.start(torch.randn(2, 11, D, dtype=torch.float64), LENS))
    elsewhere = type(state)(state.memory, state.hidden, state.cells, state.context, state.weights.roll(1, dims=1))
    token = torch.tensor([1, 1])
    assert not torch.allclose(decoder.step(token, state)[0], decoder.step(token, elsewhere)[0])


def test_scheduled_sampling_feeds_its_own_tokens_in_training_only():
    decoder = build("las", scale=10.0)
    encoder_out, token_lens = torch.randn(1, 11, D, dtype=torch.float64), torch.tensor([5])
    tokens = torch.randint(1, V - 1, (1, 5))
    given = decoder(encoder_out, LENS[:1], tokens, token_lens)
    decoder.scheduled_sampling = 1.0
    assert torch.equal(decoder(encoder_out, LENS[:1], tokens, token_lens), given)
    decoder.train().dropout.p = 0.0
    sampled = decoder(encoder_out, LENS[:1], tokens, token_lens)
    said = torch.cat([tokens[:, :1], sampled[:, :-1].argmax(-1)], dim=1)
    torch.testing.assert_close(sampled, decoder.eval()(encoder_out, LENS[:1], said, token_lens))
    assert not torch.equal(said, tokens)
