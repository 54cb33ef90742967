from __future__ import annotations

import torch
from attention_cases import D, V, build

from speechkit.models.decoder.attention import log_softmax
from speechkit.models.decoder.las import Las
from speechkit.nn.position import sinusoids
from speechkit.text.vocabulary import Vocabulary

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


def test_it_learns_to_say_backwards_what_it_hears():
    """Sentences of 1 to 4 tokens, two noisy frames each; 150 updates, then 200 new sentences."""
    table, places = torch.randn(12, 16), 0.5 * sinusoids(torch.arange(8.0), 16)
    decoder = Las.Config(dim=48, attention_dim=32, num_filters=4, kernel_size=7, dropout=0.0)
    decoder = decoder.build(in_dim=16, vocabulary=Vocabulary(12))
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.01)

    def losses_and_errors(count):
        lens, tokens = torch.randint(1, 5, (count,)), torch.randint(2, 11, (count, 4))
        encoder_out = table[tokens].repeat_interleave(2, dim=1) + 0.1 * torch.randn(count, 8, 16) + places
        tokens_in, wanted = torch.full((count, 5), 11), torch.full((count, 5), -100)
        for b, length in enumerate(lens):
            tokens_in[b, 1 : length + 1] = wanted[b, :length] = tokens[b, :length].flip(0)
            wanted[b, length] = 11
        log_probs = log_softmax(decoder(encoder_out, 2 * lens, tokens_in, lens + 1)).transpose(1, 2)
        return torch.nn.functional.nll_loss(log_probs, wanted), ((log_probs.argmax(1) != wanted) & (wanted >= 0)).sum()

    for _ in range(150):
        optimizer.zero_grad()
        losses_and_errors(32)[0].backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 5.0)
        optimizer.step()
    assert losses_and_errors(200)[1] <= 7  # of 700 tokens and ends
