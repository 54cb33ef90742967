"""What every search with an attention decoder must do; a new one is tested by being there."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hybrid import LENS, VOCABULARY, V, encodings, model

import speechkit.decode  # noqa: F401 - registers them
from speechkit.decode.attention_base import AttentionSearch, looked_at
from speechkit.decode.base import Search
from speechkit.decode.ctc_attention_rescoring import CtcAttentionRescoring

NAMES = sorted(
    name for name, each in Search.registry.items() if issubclass(each, AttentionSearch) or each is CtcAttentionRescoring
)
every_search = pytest.mark.parametrize("name", NAMES)
every_decoder = pytest.mark.parametrize("decoder", ["transformer", "las"])


def build(name, **options):
    config = Search.registry[name].Config
    wide = {"nbest": 4} if "nbest" in config.model_fields else {}
    return config(**wide, **options).build(vocabulary=VOCABULARY)


@every_search
@every_decoder
@pytest.mark.parametrize("seed", range(3))
def test_an_utterance_in_a_batch_is_searched_as_if_alone_whatever_the_padding_holds(name, decoder, seed):
    search, decoders, encoder_out = build(name), model(decoder, seed), encodings(seed)
    noisy = encoder_out.clone()
    for b in range(3):
        noisy[b, LENS[b] :] = 100.0
    together = search.decode(decoders, noisy, LENS)
    for b in range(3):
        s = LENS[b : b + 1]
        (alone,) = search.decode(decoders, encoder_out[b : b + 1, :s], s)
        assert [h.tokens for h in alone] == [h.tokens for h in together[b]]
        assert [h.token_times for h in alone] == [h.token_times for h in together[b]]
        assert [h.score for h in alone] == pytest.approx([h.score for h in together[b]])
        for one, same in zip(alone, together[b], strict=True):
            assert one.confidences == pytest.approx(same.confidences)


@every_search
@every_decoder
def test_hypotheses_are_ranked_distinct_and_of_tokens_that_can_be_said(name, decoder):
    for seed in range(5):
        for hypotheses in build(name).decode(model(decoder, seed), encodings(seed), LENS):
            assert hypotheses
            scores = [hypothesis.score for hypothesis in hypotheses]
            assert scores == sorted(scores, reverse=True) and all(math.isfinite(score) for score in scores)
            sequences = [tuple(hypothesis.tokens) for hypothesis in hypotheses]
            assert len(set(sequences)) == len(sequences)
            assert all(0 < token < V - 1 and isinstance(token, int) for tokens in sequences for token in tokens)


@every_search
@every_decoder
def test_each_token_has_a_span_of_frames_behind_the_one_before_and_a_confidence(name, decoder):
    for seed in range(5):
        for hypotheses, length in zip(build(name).decode(model(decoder, seed), encodings(seed), LENS), LENS.tolist()):
            for hypothesis in hypotheses:
                assert len(hypothesis.tokens) == len(hypothesis.token_times) == len(hypothesis.confidences)
                borders = [frame for span in hypothesis.token_times for frame in span]
                assert borders == sorted(borders) and all(first < last for first, last in hypothesis.token_times)
                assert all(0 <= frame <= length for frame in borders)
                assert all(0.0 <= confidence <= 1.0 for confidence in hypothesis.confidences)


@every_search
def test_without_frames_nothing_was_said(name):
    found = build(name).decode(model(), encodings()[:, :0], torch.tensor([0, 0, 0]))
    assert [[hypothesis.tokens for hypothesis in hypotheses] for hypotheses in found] == [[[]]] * 3


@every_search
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_other_float_types_are_searched_with_and_without_gradient(name, dtype):
    decoders, encoder_out = model().to(dtype), encodings().to(dtype)
    found = build(name).decode(decoders, encoder_out.clone().requires_grad_(), LENS)
    assert [len(hypotheses) > 0 for hypotheses in found] == [True] * 3
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert build(name).decode(model().float(), encodings().float(), LENS)


@every_search
def test_encodings_and_decoders_that_give_nan_are_errors_that_name_the_utterance(name):
    encoder_out = encodings()
    encoder_out[1, 3, 2] = math.nan
    with pytest.raises(ValueError, match="utterance 1 of the batch: expected .* nan"):
        build(name).decode(model(), encoder_out, LENS)
    broken = model()
    torch.nn.init.constant_(broken["attention"].out.bias, math.nan)
    with pytest.raises(ValueError, match="utterance 0 of the batch: expected log-probabilities of tokens, got nan"):
        build(name).decode(broken, encodings(), LENS)


@every_search
def test_a_search_reads_the_decoder_that_attends_or_the_one_that_it_is_told(name):
    first, second = model("transformer", 0), model("las", 1)
    decoders = {"ctc": first["ctc"], "attention": first["attention"], "other": second["attention"]}
    found = build(name).decode(decoders, encodings(), LENS)
    assert found == build(name).decode(first, encodings(), LENS)
    told = build(name, objective="other").decode(decoders, encodings(), LENS)
    assert told == build(name).decode({"ctc": first["ctc"], "attention": second["attention"]}, encodings(), LENS) != found


@every_search
def test_a_model_without_a_decoder_for_the_search_is_an_error(name):
    for objective, decoders, key in ((None, {"ctc": model()["ctc"]}, "search"), ("attn", model(), r"search\.objective")):
        with pytest.raises(ValueError, match=rf"^{key}: .* got objectives .*; choose"):
            build(name, objective=objective).decode(decoders, encodings(), LENS)


# --- where tokens were said ---------------------------------------------------------------------------------------


def test_tokens_lie_where_attention_looked_most_in_their_order():
    generator = np.random.default_rng(0)
    for num_tokens in range(4):
        weights = generator.dirichlet(np.ones(6), size=num_tokens).reshape(num_tokens, 6)
        frames = [first for first, _ in looked_at(weights)]
        orders = itertools.combinations(range(6), num_tokens)
        best = max(orders, key=lambda order: sum(np.log(weights[u, f]) for u, f in enumerate(order)))
        assert frames == list(best)


def test_one_look_in_the_wrong_place_does_not_move_the_others():
    weights = np.full((4, 9), 0.01)
    for token, frame in enumerate((1, 8, 4, 6)):
        weights[token, frame] = 0.9
    assert [first for first, _ in looked_at(weights)][::2] == [1, 4] and looked_at(weights)[3] == (6, 7)


def test_more_tokens_than_frames_are_spread_evenly():
    assert looked_at(np.full((4, 2), 0.5)) == [(0, 0), (0, 1), (1, 1), (1, 2)]
    assert looked_at(np.zeros((0, 5))) == [] and looked_at(np.zeros((2, 0))) == [(0, 0), (0, 0)]
