"""Beam searches of transducers against enumeration of all alignments, with and without scorers, over the registry."""

from __future__ import annotations

import math

import pytest
import torch
from transducer_toy import build, encodings, probability_of_all, toy

import speechkit.decode  # noqa: F401 - registers them
from speechkit.config import ConfigError, validate
from speechkit.decode.base import Search
from speechkit.decode.scorers.base import Scorer
from speechkit.decode.scorers.fusion import Fusion
from speechkit.decode.transducer_beam_base import TransducerBeamBase

V = 4
WIDE = 50

every_beam = pytest.mark.parametrize(
    "name", sorted(name for name, each in Search.registry.items() if issubclass(each, TransducerBeamBase))
)


class Bigram(Scorer):
    """Scores that depend on the last token: a table, whose rows need not be distributions. The blank stands for the start."""

    def __init__(self, table, scale):
        super().__init__(Scorer.Config(scale=scale), vocabulary=None)
        self.table = table

    def start(self, decoders, batch_size):
        return torch.zeros(batch_size, dtype=torch.int64)

    def score(self, state):
        return self.table[state]

    def advance(self, state, parents, tokens):
        return torch.where(tokens == 0, state[parents], tokens)

    def sentence(self, labels):
        """What it gives a whole sentence, its end included."""
        pairs = zip((0, *labels), (*labels, V - 1), strict=True)
        return sum(self.table[before, after].item() for before, after in pairs)


def random_table(seed=0):
    return torch.randn(V, V, generator=torch.Generator().manual_seed(seed))


def limit_of(name):
    """The most labels in a frame: ALSD counts labels per utterance only."""
    return 2 if "max_symbols_per_frame" in Search.registry[name].Config.model_fields else 4


def search(name, decoder, encoder_out, scorers=None, length_bonus=0.0, **options):
    """The hypotheses of one utterance (S, D)."""
    options = {"beam_size": WIDE, "max_tokens_per_frame": 2.0, "max_symbols_per_frame": limit_of(name), **options}
    found = build(name, decoder.vocabulary, nbest=options["beam_size"], **options)
    if scorers or length_bonus:
        found.fusion = Fusion(scorers or {}, length_bonus, decoder.vocabulary)
    return found.decode({"transducer": decoder}, encoder_out.unsqueeze(0), torch.tensor([len(encoder_out)]))[0]


def exact(name, decoder, encoder_out):
    """All sequences that the search may find, with their log-probabilities."""
    return probability_of_all(decoder, encoder_out, limit_of(name), 2 * len(encoder_out))


@every_beam
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_every_sequence_with_its_exact_probability(name, seed):
    decoder, encoder_out = toy(V, seed), encodings(2, seed=seed)
    found = {tuple(h.tokens): h.score for h in search(name, decoder, encoder_out)}
    assert found == pytest.approx(exact(name, decoder, encoder_out), abs=1e-9)


@every_beam
@pytest.mark.parametrize("seed", range(3))
def test_with_scorers_a_wide_beam_finds_the_exact_maximum_and_says_who_gave_what(name, seed):
    decoder, encoder_out = toy(V, seed), encodings(2, seed=seed)
    one, other = Bigram(random_table(1), 0.7), Bigram(random_table(2), -0.3)
    found = search(name, decoder, encoder_out, {"lm": one, "other": other}, length_bonus=0.5)
    network = exact(name, decoder, encoder_out)
    totals = {
        labels: score + 0.7 * one.sentence(labels) - 0.3 * other.sentence(labels) + 0.5 * len(labels)
        for labels, score in network.items()
    }
    assert tuple(found[0].tokens) == max(totals, key=totals.__getitem__)
    assert {tuple(h.tokens): h.score for h in found} == pytest.approx(totals, abs=1e-5)
    for h in found:
        parts = {"transducer": network[tuple(h.tokens)], "lm": one.sentence(h.tokens), "other": other.sentence(h.tokens)}
        assert h.scores == pytest.approx(parts, abs=1e-5)


@every_beam
@pytest.mark.parametrize("seed", range(2))
def test_no_score_exceeds_the_exact_probability(name, seed):
    decoder, encoder_out = toy(4, seed), encodings(3, seed=seed)
    everything = probability_of_all(decoder, encoder_out, 6, 6)
    found = search(name, decoder, encoder_out, beam_size=2)
    assert len(found) == 2 and all(h.score <= everything[tuple(h.tokens)] + 1e-9 for h in found)


def decode_batch(name, decoder, **options):
    options = {"beam_size": 3, "nbest": 3, **options}
    scorers, bonus = options.pop("fusion", ({}, 0.0))
    found = build(name, decoder.vocabulary, **options)
    found.fusion = Fusion(scorers, bonus, decoder.vocabulary)
    return found.decode({"transducer": decoder}, encodings(3, 11), torch.tensor([11, 4, 7]))


@every_beam
@pytest.mark.parametrize("limit", [1, 3])
def test_a_uniform_language_model_adds_a_constant_per_token_and_nothing_else(name, limit):
    decoder = toy(V, seed=1)
    uniform = Bigram(torch.full((V, V), -math.log(V)), 0.5)
    plain = decode_batch(name, decoder, max_symbols_per_frame=limit)
    fused = decode_batch(name, decoder, max_symbols_per_frame=limit, fusion=({"lm": uniform}, 0.5 * math.log(V)))
    for mine, theirs in zip(plain, fused, strict=True):
        assert [h.tokens for h in mine] == [h.tokens for h in theirs]
        assert [h.score - 0.5 * math.log(V) for h in mine] == pytest.approx([h.score for h in theirs], abs=1e-5)
        assert [-(len(h.tokens) + 1) * math.log(V) for h in theirs] == pytest.approx([h.scores["lm"] for h in theirs], abs=1e-5)


@every_beam
@pytest.mark.parametrize("limit", [1, 3])
def test_a_scorer_of_no_weight_changes_nothing_and_a_batch_is_searched_as_each_alone(name, limit):
    decoder = toy(V, seed=1)
    plain = decode_batch(name, decoder, max_symbols_per_frame=limit)
    off = decode_batch(name, decoder, max_symbols_per_frame=limit, fusion=({"lm": Bigram(random_table(), 0.0)}, 0.0))
    assert [[h.tokens for h in each] for each in plain] == [[h.tokens for h in each] for each in off]
    scored = {"fusion": ({"lm": Bigram(random_table(), 0.8)}, 0.3), "max_symbols_per_frame": limit}
    together = decode_batch(name, decoder, **scored)
    for b, length in enumerate((11, 4, 7)):
        alone = search(
            name, decoder, encodings(3, 11)[b, :length], *scored["fusion"], beam_size=3, max_symbols_per_frame=limit,
            max_tokens_per_frame=1.0,
        )  # fmt: skip
        assert [h.tokens for h in alone] == [h.tokens for h in together[b]]
        assert [h.score for h in alone] == pytest.approx([h.score for h in together[b]], abs=1e-6)


@every_beam
def test_the_nbest_is_ranked_again_by_rescoring(name):
    decoder, table = toy(V, seed=1), random_table()
    plain = build(name, decoder.vocabulary, beam_size=5, nbest=5)
    again = build(name, decoder.vocabulary, beam_size=5, nbest=5)
    again.rescoring = Fusion({"lm": Bigram(table, 2.0)}, 0.0, decoder.vocabulary)
    arguments = {"transducer": decoder}, encodings(1, 7), torch.tensor([7])
    before, after = plain.decode(*arguments)[0], again.decode(*arguments)[0]
    expected = {tuple(h.tokens): h.score + 2.0 * Bigram(table, 2.0).sentence(h.tokens) for h in before}
    assert {tuple(h.tokens): h.score for h in after} == pytest.approx(expected, abs=1e-5)
    assert [h.score for h in after] == sorted((h.score for h in after), reverse=True)


@every_beam
def test_options_that_cannot_be_are_errors(name):
    with pytest.raises(ConfigError, match="nbest: expected at most beam_size = 3, got 4"):
        validate(Search.registry[name].Config, {"name": name, "beam_size": 3, "nbest": 4})
    with pytest.raises(ConfigError, match="beam_size"):
        validate(Search.registry[name].Config, {"name": name, "beam_size": 0})
