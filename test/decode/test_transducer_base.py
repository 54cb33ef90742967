"""What every registered search of transducers must do; a new one is tested by being there."""

from __future__ import annotations

import math
from itertools import chain

import pytest
import torch
from transducer_toy import build, encodings, toy

import speechkit.decode  # noqa: F401 - registers them
from speechkit.decode.base import Search
from speechkit.decode.transducer_base import TransducerSearch
from speechkit.models.decoder.transducer import Transducer
from speechkit.models.predictor.base import Predictor
from speechkit.models.predictor.stateless import Stateless
from speechkit.models.predictor.transformer import Transformer
from speechkit.text.vocabulary import Vocabulary

V = 6
LENS = torch.tensor([9, 0, 5])

SEARCHES = sorted(name for name, each in Search.registry.items() if issubclass(each, TransducerSearch))
every_search = pytest.mark.parametrize("name", SEARCHES)
every_topology = pytest.mark.parametrize("limit", [1, 3])


def decode(name, decoder, encoder_out, lens=LENS, **options):
    search = build(name, decoder.vocabulary, **{"beam_size": 4, "nbest": 4, **options})
    return search.decode({"transducer": decoder}, encoder_out, lens)


def assert_same(one, other):
    assert [[h.tokens for h in hypotheses] for hypotheses in one] == [[h.tokens for h in hypotheses] for hypotheses in other]
    for mine, theirs in zip(chain(*one), chain(*other), strict=True):
        assert mine.token_times == theirs.token_times
        assert mine.score == pytest.approx(theirs.score, abs=1e-9)
        assert mine.confidences == pytest.approx(theirs.confidences, abs=1e-9)


@every_search
@every_topology
@pytest.mark.parametrize(
    "predictor", [None, Stateless.Config(dim=8), Transformer.Config(dim=8, ff_dim=9, num_layers=1, num_heads=2)]
)
def test_an_utterance_in_a_batch_is_searched_as_if_alone_whatever_the_padding_holds(name, limit, predictor):
    decoder, encoder_out = toy(V, predictor=predictor), encodings(3, 9)
    for b, length in enumerate(LENS):
        encoder_out[b, length:] = math.nan
    together = decode(name, decoder, encoder_out, max_symbols_per_frame=limit)
    alone = [
        decode(name, decoder, encoder_out[b : b + 1, : LENS[b]], LENS[b : b + 1], max_symbols_per_frame=limit)[0]
        for b in range(3)
    ]
    assert_same(together, alone)


@every_search
@every_topology
def test_hypotheses_are_ranked_distinct_free_of_blanks_and_each_token_has_its_frame(name, limit):
    nbest = decode(name, toy(V, seed=1), encodings(3, 9), max_symbols_per_frame=limit)
    assert len(nbest) == 3
    for hypotheses, length in zip(nbest, LENS.tolist(), strict=True):
        assert 1 <= len(hypotheses) <= 4
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True) and all(math.isfinite(score) for score in scores)
        sequences = [tuple(hypothesis.tokens) for hypothesis in hypotheses]
        assert len(set(sequences)) == len(sequences)
        assert all(0 < token < V - 1 and isinstance(token, int) for sequence in sequences for token in sequence)
        for hypothesis in hypotheses:
            assert hypothesis.scores == {"transducer": hypothesis.score}
            assert len(hypothesis.tokens) == len(hypothesis.token_times) == len(hypothesis.confidences)
            frames = [first for first, _ in hypothesis.token_times]
            assert frames == sorted(frames) and all(0 <= frame < length for frame in frames)
            assert [(frame, frame + 1) for frame in frames] == hypothesis.token_times
            assert all(0.0 <= confidence <= 1.0 for confidence in hypothesis.confidences)


def certain():
    """Encoding one-hot of k: the label k, unless it is the last one already, else blank; each with certainty."""
    predictor = Stateless.Config(dim=V, context_size=1, group_size=1)
    decoder = Transducer.Config(joiner_dim=V, predictor=predictor).build(in_dim=V, vocabulary=Vocabulary(V)).eval()
    joiner, one = decoder.joiner, torch.eye(V)
    decoder.predictor.embedding.weight.data, decoder.predictor.weight.data = one, torch.ones(V, 1, 1)
    joiner.encoder_proj.weight.data, joiner.predictor_proj.weight.data, joiner.out.weight.data = 20 * one, -20 * one, 50 * one
    joiner.encoder_proj.bias.data, joiner.predictor_proj.bias.data = torch.full((V,), -10.0), torch.zeros(V)
    joiner.out.weight.data[0] = joiner.out.bias.data[:] = 0.0
    return decoder


@every_search
@every_topology
def test_a_network_that_is_certain_is_spelled_out(name, limit):
    frames = torch.eye(V)[None, [0, 3, 0, 1, 4, 0, 0]]
    best = decode(name, certain(), frames, torch.tensor([7]), max_symbols_per_frame=limit)[0][0]
    assert best.tokens == [3, 1, 4] and best.score == pytest.approx(0.0, abs=1e-6)
    assert best.token_times == [(1, 2), (3, 4), (4, 5)]
    assert best.confidences == pytest.approx([1.0] * 3, abs=1e-6)


@every_search
def test_no_frames_at_all_give_the_empty_hypothesis(name):
    for num_frames in (0, 3):
        for (best,) in decode(name, toy(V), encodings(2, num_frames), torch.tensor([0, 0])):
            assert (best.tokens, best.token_times, best.confidences, best.score) == ([], [], [], 0.0)


@every_search
@pytest.mark.parametrize("wrong", [math.inf, math.nan])
def test_encodings_that_are_no_numbers_are_an_error_that_names_the_utterance(name, wrong):
    encoder_out = encodings(3, 9)
    encoder_out[2, 3, 1] = wrong
    with pytest.raises(ValueError, match="utterance 2 of the batch: expected finite encodings"):
        decode(name, toy(V), encoder_out)


@every_search
def test_scores_that_are_no_numbers_are_an_error(name):
    decoder = toy(V)
    decoder.joiner.out.bias[2] = math.nan
    with pytest.raises(ValueError, match="utterance 0 of the batch: expected scores that are numbers"):
        decode(name, decoder, encodings(3, 9))


@every_search
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_all_float_types_are_searched_with_and_without_gradient(name, dtype):
    decoder, encoder_out = toy(V).to(dtype).requires_grad_(), encodings(3, 9).to(dtype)
    with_gradient = decode(name, decoder, encoder_out.clone().requires_grad_())
    without = decode(name, decoder.requires_grad_(False), encoder_out)
    assert with_gradient == without and all(math.isfinite(h.score) for hypotheses in without for h in hypotheses)
    if dtype == torch.float32:
        exact = decode(name, toy(V), encodings(3, 9))
        assert [h[0].score for h in without] == pytest.approx([h[0].score for h in exact], abs=1e-3)


@every_search
def test_a_search_reads_the_first_transducer_or_the_one_that_it_is_told(name):
    decoders = {"ctc": torch.nn.Identity(), "one": toy(V, seed=2), "two": toy(V, seed=3)}
    search, told = build(name, decoders["one"].vocabulary), build(name, decoders["one"].vocabulary, objective="two")
    assert_same(search.decode(decoders, encodings(3, 9), LENS), search.decode({"x": decoders["one"]}, encodings(3, 9), LENS))
    assert_same(told.decode(decoders, encodings(3, 9), LENS), search.decode({"x": decoders["two"]}, encodings(3, 9), LENS))


@every_search
def test_a_model_without_a_transducer_is_an_error(name):
    cases = ((None, {"ctc": torch.nn.Identity()}, "search"), ("ctx", {"ctc": toy(V)}, r"search\.objective"))
    for objective, decoders, key in cases:
        search = build(name, toy(V).vocabulary, objective=objective)
        with pytest.raises(ValueError, match=rf"^{key}: .* got objectives ctc; choose"):
            search.decode(decoders, encodings(1, 3), torch.tensor([3]))


@every_search
@every_topology
def test_the_blank_may_have_any_id(name, limit):
    decoder = toy(V, seed=5, blank_id=2)
    moved = toy(V, seed=5, blank_id=2)
    order = torch.tensor([2, 0, 1, 3, 4, 5])  # old id of each new one: the blank comes first
    moved.vocabulary = moved.predictor.vocabulary = toy(V).vocabulary
    moved.predictor.embedding.weight.data = decoder.predictor.embedding.weight[order]
    moved.joiner.out.weight.data, moved.joiner.out.bias.data = decoder.joiner.out.weight[order], decoder.joiner.out.bias[order]
    there = decode(name, decoder, encodings(3, 9), max_symbols_per_frame=limit)
    here = decode(name, moved, encodings(3, 9), max_symbols_per_frame=limit)
    assert [h.tokens for h in chain(*there)] == [order[h.tokens].tolist() for h in chain(*here)]


@every_search
def test_predictors_are_asked_through_the_interface_that_they_all_have(name):
    for predictor in Predictor.registry.values():
        decoder = toy(V, predictor=predictor.Config(dim=8))
        assert len(decode(name, decoder, encodings(3, 9))) == 3
