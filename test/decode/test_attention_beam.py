"""Attention beam search against enumeration of all sentences, and against greedy search."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hybrid import LENS, VOCABULARY, all_sentences, encodings, log_likelihoods, model, search

from speechkit.config import ConfigError, validate
from speechkit.decode.attention_beam import AttentionBeamSearch
from speechkit.decode.attention_greedy import AttentionGreedySearch
from speechkit.decode.scorers.base import Scorer
from speechkit.models.decoder.attention import AttentionDecoder

every_decoder = pytest.mark.parametrize("decoder", ["transformer", "las"])
MAX_LEN = 3  # of 6 and 4 frames, at 0.5 and 0.75 tokens per frame


def decode(decoders, seed, b=0, **options):
    ratio = MAX_LEN / LENS[b].item()
    built = search(AttentionBeamSearch, max_len_ratio=ratio, **options)
    return built.decode(decoders, encodings(seed)[b : b + 1], LENS[b : b + 1])[0]


@every_decoder
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_n_best_of_all_sentences_with_their_exact_scores(decoder, seed):
    decoders = model(decoder, seed)
    for b in range(2):
        one, length = encodings(seed)[b : b + 1], LENS[b : b + 1]
        exact, _ = log_likelihoods(decoders, one, length, all_sentences(MAX_LEN))
        ranked = sorted(zip(exact, all_sentences(MAX_LEN)), reverse=True)[:7]
        found = decode(decoders, seed, b, beam_size=200, nbest=7)
        assert [h.tokens for h in found] == [tokens for _, tokens in ranked]
        assert [h.score for h in found] == pytest.approx([score for score, _ in ranked])
        assert all(h.scores == {"attention": h.score} for h in found)


@every_decoder
@pytest.mark.parametrize("options", [{"length_bonus": 1.5}, {"length_norm": 1.0}, {"length_bonus": 3.0, "length_norm": 0.7}])
def test_bonus_and_normalisation_are_exact_as_well(decoder, options):
    for seed in range(4):
        decoders = model(decoder, seed)
        attention, _ = log_likelihoods(decoders, encodings(seed)[:1], LENS[:1], all_sentences(MAX_LEN))
        bonus, power = options.get("length_bonus", 0.0), options.get("length_norm", 0.0)
        exact = [
            ((score + bonus * len(tokens)) / (len(tokens) + 1) ** power, tokens)
            for score, tokens in zip(attention, all_sentences(MAX_LEN))
        ]
        found = decode(decoders, seed, beam_size=200, nbest=4, **options)
        assert [h.tokens for h in found] == [tokens for _, tokens in sorted(exact, reverse=True)[:4]]
        assert found[0].score == pytest.approx(max(exact)[0])


@every_decoder
@pytest.mark.parametrize("seed", range(10))
def test_a_beam_of_one_equals_greedy(decoder, seed):
    decoders = model(decoder, seed)
    beam = search(AttentionBeamSearch, beam_size=1).decode(decoders, encodings(seed), LENS)
    greedy = search(AttentionGreedySearch).decode(decoders, encodings(seed), LENS)
    for (a,), (b,) in zip(beam, greedy, strict=True):
        assert (a.tokens, a.token_times) == (b.tokens, b.token_times)
        assert a.score == pytest.approx(b.score) and a.confidences == pytest.approx(b.confidences)


@pytest.mark.parametrize("beam_size", [2, 3, 5])
def test_a_search_that_stops_early_misses_nothing_that_it_would_have_found(beam_size, monkeypatch):
    from speechkit.decode.sentence_beam import SentenceBeam

    for seed in range(10):
        options = {"beam_size": beam_size, "nbest": 2, "length_bonus": 0.5}
        early = decode(model(seed=seed), seed, **options)
        with monkeypatch.context() as patch:
            patch.setattr(SentenceBeam, "_may_improve", lambda self, b, best: best > -math.inf)
            assert early == decode(model(seed=seed), seed, **options)


class Script(AttentionDecoder):
    """Gives the same probabilities (the blank has the rest) to all hypotheses of a length; the last row for ever."""

    def __init__(self, rows):
        super().__init__()
        self.vocabulary, self.rows = VOCABULARY, torch.nn.Parameter(torch.tensor(rows).log())

    def start(self, encoder_out, encoder_out_lens):
        return SimpleNamespace(depth=-1, weights=encoder_out[..., 0].softmax(-1))

    def step(self, tokens, state):
        state = SimpleNamespace(depth=min(state.depth + 1, len(self.rows) - 1), weights=state.weights)
        return self.rows[state.depth].expand(len(tokens), -1).clone(), state

    def select(self, state, rows):
        return SimpleNamespace(depth=state.depth, weights=state.weights[rows])


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        # Six tokens at 2 nats each make up for a first one that is far less likely than the end.
        ({"length_bonus": 2.0}, [[0.0, 0.01, 0.0, 0.0, 0.5], [0.0, 0.49, 0.0, 0.0, 0.5]]),
        # Divided by its length, a long sentence is better than its beginning was.
        ({"length_norm": 1.0}, [[0.0, 0.005, 0.0, 0.0, 0.1], [0.0, 0.98, 0.0, 0.0, 0.01]]),
    ],
)
def test_a_sentence_that_is_behind_but_can_still_win_is_not_given_up(options, rows):
    built = search(AttentionBeamSearch, max_len_ratio=1.0, beam_size=2, **options)
    (best,) = built.decode({"attention": Script(rows)}, encodings()[:1], LENS[:1])[0]
    assert best.tokens == [1] * 6


def test_it_does_stop_early():
    decoders, steps = model(), []
    decoders["attention"].out.bias.data[-1] += 5.0
    decoders["attention"].register_module("count", torch.nn.Identity())
    step = type(decoders["attention"]).step
    decoders["attention"].step = lambda *args: (steps.append(1), step(decoders["attention"], *args))[1]
    search(AttentionBeamSearch, max_len_ratio=5.0).decode(decoders, encodings(), LENS)
    assert len(steps) < 10


# --- scorers ------------------------------------------------------------------------------------------------------


class Table(Scorer):
    """The same scores whatever came before."""

    def __init__(self, row, scale=1.0):
        super().__init__(Scorer.Config(scale=scale), vocabulary=VOCABULARY)
        self.row = torch.tensor(row)

    def start(self, decoders, batch_size):
        return batch_size

    def score(self, state):
        return self.row.expand(state, -1)

    def advance(self, state, parents, tokens):
        return len(tokens)


def fused(scorers, seed=0, **options):
    built = search(AttentionBeamSearch, max_len_ratio=MAX_LEN / 6, **options)
    built.fusion.scorers, built.fusion.scales = scorers, [scorer.config.scale for scorer in scorers.values()]
    return built.decode(model(seed=seed), encodings(seed)[:1], LENS[:1])[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_uniform_language_model_changes_no_order_of_sentences_as_long_as_each_other(seed):
    plain, uniform = (
        fused(scorers, seed, beam_size=100, nbest=40) for scorers in ({}, {"lm": Table([math.log(0.2)] * 5, scale=0.7)})
    )
    for length in range(MAX_LEN + 1):
        same = [[h.tokens for h in found if len(h.tokens) == length] for found in (plain, uniform)]
        assert same[0] == same[1]
    for h in uniform:
        assert h.scores["lm"] == pytest.approx((len(h.tokens) + 1) * math.log(0.2))
        assert h.score == pytest.approx(h.scores["attention"] + 0.7 * h.scores["lm"])


def test_a_scorer_of_zeros_changes_nothing_and_another_one_does():
    plain = fused({})
    silent = fused({"lm": Table([0.0] * 5)})
    assert [(h.tokens, h.score) for h in silent] == [(h.tokens, h.score) for h in plain]
    loved = fused({"lm": Table([0.0, 0, 9, 0, 0])})[0]
    assert loved.tokens == [2] * MAX_LEN and loved.scores["lm"] == pytest.approx(27.0)


def test_scores_with_scorers_are_exact_with_a_wide_beam():
    row = [0.0, -1.5, -0.3, -2.0, -1.0]
    attention, _ = log_likelihoods(model(), encodings()[:1], LENS[:1], all_sentences(MAX_LEN))
    exact = [
        (score + 0.5 * (sum(row[token] for token in tokens) + row[4]), tokens)
        for score, tokens in zip(attention, all_sentences(MAX_LEN))
    ]
    found = fused({"lm": Table(row, scale=0.5)}, beam_size=200, nbest=5, stop_margin=0.0)
    assert [h.tokens for h in found] == [tokens for _, tokens in sorted(exact, reverse=True)[:5]]
    assert found[0].score == pytest.approx(max(exact)[0])


# --- options ------------------------------------------------------------------------------------------------------


def test_a_decoder_that_never_ends_is_stopped():
    decoders = model()
    decoders["attention"].out.bias.data = torch.tensor([0.0, 0, 50, 0, -50], dtype=torch.float64)
    found = search(AttentionBeamSearch, max_len_ratio=0.5, beam_size=1).decode(decoders, encodings(), LENS)
    assert [hypotheses[0].tokens for hypotheses in found] == [[2] * 3, [2] * 2, []]


def test_more_hypotheses_than_the_beam_holds_are_an_error():
    with pytest.raises(ConfigError, match="nbest: expected at most beam_size = 3, got 4"):
        validate(AttentionBeamSearch.Config, {"name": "attention_beam", "beam_size": 3, "nbest": 4})


def test_the_whole_beam_is_ranked_again_before_it_is_cut():
    built = search(AttentionBeamSearch, max_len_ratio=0.5, beam_size=50)
    lm = Table([0.0, 0, 5, 0, 0])
    built.rescoring.scorers, built.rescoring.scales = {"lm": lm}, [1.0]
    (found,) = built.decode(model(), encodings()[:1], LENS[:1])[0]
    everything = fused({}, beam_size=50, nbest=50)
    assert found.tokens == [2] * MAX_LEN != everything[0].tokens
    (same,) = (h for h in everything if h.tokens == found.tokens)
    assert found.score == pytest.approx(same.score + 15) and found.scores == {**same.scores, "lm": 15.0}


def test_a_scorer_called_like_a_part_of_the_network_is_an_error():
    for option in ("scorers", "rescore"):
        with pytest.raises(ConfigError, match="expected names other than ctc"):
            validate(AttentionBeamSearch.Config, {option: {"ctc": {"name": "hotwords", "phrases": ["a"]}}})
