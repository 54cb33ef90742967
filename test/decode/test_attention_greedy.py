from __future__ import annotations

import pytest
import torch
from hybrid import LENS, V, encodings, log_likelihoods, model, search

from speechkit.decode.attention_greedy import AttentionGreedySearch


@pytest.mark.parametrize("decoder", ["transformer", "las"])
@pytest.mark.parametrize("seed", range(5))
def test_each_token_is_the_likeliest_one_and_the_score_is_that_of_the_objective(decoder, seed):
    decoders, encoder_out = model(decoder, seed), encodings(seed)
    found = search(AttentionGreedySearch, max_len_ratio=2.0).decode(decoders, encoder_out, LENS)
    for b in range(2):
        ((hypothesis,), one, length) = found[b], encoder_out[b : b + 1], LENS[b : b + 1]
        state, given = decoders["attention"].start(one, length), []
        for token in [V - 1, *hypothesis.tokens]:
            log_probs, state = decoders["attention"].step(torch.tensor([token]), state)
            log_probs[:, 0] = -torch.inf
            given.append(log_probs.max().item())
            if len(given) <= len(hypothesis.tokens):
                assert hypothesis.tokens[len(given) - 1] == log_probs.argmax()
        assert len(hypothesis.tokens) == 2 * length or log_probs.argmax() == V - 1
        attention, _ = log_likelihoods(decoders, one, length, [hypothesis.tokens])
        assert hypothesis.score == hypothesis.scores["attention"] == pytest.approx(attention[0])
        assert hypothesis.confidences == pytest.approx([min(1.0, torch.tensor(p).exp().item()) for p in given[:-1]])


def test_a_decoder_that_never_ends_is_stopped():
    decoders = model()
    decoders["attention"].out.bias.data = torch.tensor([0.0, 0, 50, 0, -50], dtype=torch.float64)
    found = search(AttentionGreedySearch, max_len_ratio=0.5).decode(decoders, encodings(), LENS)
    assert [hypotheses[0].tokens for hypotheses in found] == [[2] * 3, [2] * 2, []]
