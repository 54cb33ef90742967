"""The contract of attention decoders."""

from __future__ import annotations

import pytest
import torch
from attention_cases import CONFIGS, D, V, build

from speechkit.models.decoder.attention import AttentionDecoder, log_softmax
from speechkit.models.decoder.base import Decoder
from speechkit.text.vocabulary import Vocabulary

B, S, U = 3, 11, 4
LENS, TOKEN_LENS = torch.tensor([11, 0, 5]), torch.tensor([5, 3, 4])

every_decoder = pytest.mark.parametrize("name", CONFIGS)


def batch():
    torch.manual_seed(1)
    tokens = torch.randint(1, V - 1, (B, U + 1))
    tokens[:, 0] = V - 1
    return torch.randn(B, S, D, dtype=torch.float64), LENS, tokens, TOKEN_LENS


def test_every_registered_attention_decoder_is_tested_here():
    registered = {name for name, each in Decoder.registry.items() if issubclass(each, AttentionDecoder)}
    assert registered == {config.name for config in CONFIGS.values()}


@every_decoder
def test_a_sentence_alone_equals_the_same_in_a_batch_whatever_the_padding_holds(name):
    decoder, (encoder_out, lens, tokens, token_lens) = build(name), batch()
    noisy, noisy_tokens = encoder_out.clone(), tokens.clone()
    for b in range(B):
        noisy[b, lens[b] :], noisy_tokens[b, token_lens[b] :] = 100.0, 77
    together = decoder(noisy, lens, noisy_tokens, token_lens)
    for b in range(B):
        s, u = lens[b : b + 1], token_lens[b : b + 1]
        alone = decoder(encoder_out[b : b + 1, :s], s, tokens[b : b + 1, :u], u)
        assert alone.shape == (1, u, V)
        torch.testing.assert_close(together[b : b + 1, :u], alone)


@every_decoder
def test_weights_sum_to_one_over_the_frames_of_the_utterance_and_are_zero_at_padding(name):
    decoder, facts = build(name), batch()
    logits, weights = decoder.forward_with_weights(*facts)
    torch.testing.assert_close(logits, decoder(*facts))
    assert weights.shape == (B, U + 1, S)
    torch.testing.assert_close(weights.sum(-1)[[0, 2]], torch.ones(2, U + 1, dtype=torch.float64))
    assert all(weights[b, :, LENS[b] :].eq(0).all() for b in range(B))


@every_decoder
def test_step_by_step_equals_all_at_once(name):
    decoder, (encoder_out, lens, tokens, _) = build(name), batch()
    logits, weights = decoder.forward_with_weights(encoder_out, lens, tokens, torch.full((B,), U + 1))
    state = decoder.start(encoder_out, lens)
    for u in range(U + 1):
        log_probs, state = decoder.step(tokens[:, u], state)
        torch.testing.assert_close(log_probs, log_softmax(logits[:, u]))
        torch.testing.assert_close(state.weights, weights[:, u])


@every_decoder
def test_hypotheses_may_be_dropped_doubled_and_mixed_and_each_goes_on_as_if_alone(name):
    decoder, (encoder_out, lens, _, _) = build(name), batch()
    steps = [([0, 1, 2], [5, 5, 5]), ([2, 0, 2, 0, 1], [1, 2, 3, 4, 1]), ([4, 1, 0, 0], [3, 3, 1, 2]), ([3, 1], [4, 1])]
    owners, sentences, state = [0, 1, 2], [[], [], []], decoder.start(encoder_out, lens)
    for rows, tokens in steps:
        owners = [owners[row] for row in rows]
        sentences = [[*sentences[row], token] for row, token in zip(rows, tokens)]
        log_probs, state = decoder.step(torch.tensor(tokens), decoder.select(state, torch.tensor(rows)))
        for n, (b, sentence) in enumerate(zip(owners, sentences)):
            alone = decoder(encoder_out[b : b + 1], lens[b : b + 1], torch.tensor([sentence]), torch.tensor([len(sentence)]))
            torch.testing.assert_close(log_probs[n], log_softmax(alone[0, -1]))


@every_decoder
def test_a_step_leaves_the_old_state_as_it_was(name):
    decoder, (encoder_out, lens, tokens, _) = build(name), batch()
    _, state = decoder.step(tokens[:, 0], decoder.start(encoder_out, lens))
    first, _ = decoder.step(tokens[:, 1], state)
    decoder.step(tokens[:, 2], decoder.select(state, torch.tensor([1, 1, 0])))
    torch.testing.assert_close(decoder.step(tokens[:, 1], state)[0], first, rtol=0, atol=0)


@every_decoder
def test_hypotheses_of_an_utterance_share_its_memory(name):
    decoder, (encoder_out, lens, _, _) = build(name), batch()
    state = decoder.start(encoder_out, lens)
    held = [part.data_ptr() for part in state.memory.parts]
    state = decoder.select(state, torch.tensor([2, 1, 0, 0, 2]))
    assert [part.data_ptr() for part in state.memory.parts] == held
    assert [len(part) for part in decoder.select(state, torch.tensor([0, 4])).memory.parts] == [1] * len(held)


@every_decoder
def test_several_sentences_about_one_utterance_are_scored_at_once(name):
    decoder, (encoder_out, lens, tokens, token_lens) = build(name), batch()
    owners = torch.tensor([2, 0, 2])
    together = decoder(encoder_out, lens, tokens, token_lens, owners)
    expected = decoder(encoder_out[owners], lens[owners], tokens, token_lens)
    for b in range(B):
        torch.testing.assert_close(together[b, : token_lens[b]], expected[b, : token_lens[b]])


@every_decoder
def test_a_token_is_scored_by_those_before_it_only(name):
    decoder, (encoder_out, lens, tokens, token_lens) = build(name), batch()
    changed = tokens.clone()
    changed[:, 3] = tokens[:, 3] % (V - 2) + 1
    before, after = decoder(encoder_out, lens, tokens, token_lens), decoder(encoder_out, lens, changed, token_lens)
    torch.testing.assert_close(before[:, :3], after[:, :3], rtol=0, atol=0)
    assert not torch.allclose(before[0, 3:], after[0, 3:])


@every_decoder
def test_gradients_are_right_reach_every_parameter_and_never_padding(name):
    decoder, (encoder_out, *rest) = build(name), batch()
    names = [each for each, _ in decoder.named_parameters()]

    def call(encoder_out, *values):
        logits, weights = torch.func.functional_call(
            Weighed(decoder), {f"decoder.{n}": v for n, v in zip(names, values, strict=True)}, (encoder_out, *rest)
        )
        return logits[:, :3], weights[:, :3]

    leaves = [x.detach().clone().requires_grad_() for x in (encoder_out, *decoder.parameters())]
    assert torch.autograd.gradcheck(call, leaves, fast_mode=True)
    call(*leaves)[0][..., 1].sum().backward()
    assert all(leaf.grad.ne(0).any() for leaf in leaves)
    assert all(leaves[0].grad[b, LENS[b] :].eq(0).all() for b in range(B))


class Weighed(torch.nn.Module):
    """A decoder whose call gives the weights as well."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, *args):
        return self.decoder.forward_with_weights(*args)


@every_decoder
def test_under_autocast_steps_are_distributions_in_float32(name):
    decoder, (encoder_out, lens, tokens, token_lens) = build(name).float(), batch()
    encoder_out = encoder_out.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log_probs, state = decoder.step(tokens[:, 0], decoder.start(encoder_out, lens))
        log_probs, state = decoder.step(tokens[:, 1], state)
        logits, weights = decoder.forward_with_weights(encoder_out, lens, tokens, token_lens)
    assert log_probs.dtype == state.weights.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(B))
    torch.testing.assert_close(log_probs, log_softmax(decoder(encoder_out, lens, tokens, token_lens)[:, 1]), rtol=0.05, atol=0.05)
    assert logits.isfinite().all() and weights.isfinite().all()


@every_decoder
def test_the_state_of_a_decoder_makes_a_round_trip(name):
    first = build(name)
    torch.manual_seed(1)
    second = CONFIGS[name].build(in_dim=D, vocabulary=Vocabulary(V)).double().eval()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(*batch()), second(*batch()))


@pytest.mark.parametrize("name", ["transformer", "las"])
def test_training_hides_a_share_of_the_tokens_and_never_the_start(name):
    config = CONFIGS[name].model_copy(update={"token_dropout": 0.5})
    decoder = config.build(in_dim=D, vocabulary=Vocabulary(V))
    tokens, lens = torch.full((200, 11), 3), torch.full((200,), 11)
    read = decoder.train()._readable(tokens, lens)
    assert (read[:, 0] == 3).all() and set(read[:, 1:].unique().tolist()) == {Vocabulary.unk_id, 3}
    assert (read[:, 1:] == 3).float().mean() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(decoder.eval()._readable(tokens, lens), tokens)
