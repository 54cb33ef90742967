"""Scorers added up, with scorers whose numbers can be told apart."""

from __future__ import annotations

import pytest
import torch

from speechkit.config import Config, ConfigError, validate
from speechkit.decode.scorers.base import Scorer
from speechkit.decode.scorers.fusion import Fusion, FusionConfig
from speechkit.text.symbols import CharTokenizer
from speechkit.text.vocabulary import Vocabulary

V, EOS = 5, 4


class Toy(Scorer):
    """After n tokens, token v scores ``base * n + v``."""

    def __init__(self, base, scale):
        super().__init__(Scorer.Config(scale=scale), vocabulary=Vocabulary(V))
        self.base = base

    def start(self, decoders, batch_size):
        return torch.zeros(batch_size)

    def score(self, state):
        return self.base * state[:, None] + torch.arange(V)

    def advance(self, state, parents, tokens):
        return state[parents] + (tokens != 0)


def test_scores_are_scaled_and_summed_and_the_length_bonus_is_no_part_of_ending():
    fusion = Fusion({"a": Toy(10.0, 2.0), "b": Toy(100.0, -0.5)}, 0.25, Vocabulary(V))
    state = fusion.start({}, 2)
    assert state.log_scores[0].tolist()[1:] == [1.75, 3.25, 4.75, 6.0] and state.totals.tolist() == [0, 0]
    state = fusion.advance(state, torch.tensor([1, 0, 1]), torch.tensor([3, 0, 1]))
    assert state.totals.tolist() == [4.75, 0.0, 1.75]
    assert state.log_scores[0].tolist()[1:] == [-28.25, -26.75, -25.25, -24.0]
    assert fusion.final(state).tolist() == [-24.0, 6.0, -24.0]
    assert fusion.parts(state) == [{"a": 17.0, "b": 107.0}, {"a": 4.0, "b": 4.0}, {"a": 15.0, "b": 105.0}]
    assert fusion.parts(state, ended=False) == [{"a": 3.0, "b": 3.0}, {"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 1.0}]
    (row,) = fusion.advance(state, torch.tensor([0]), torch.tensor([2])).totals.tolist()
    assert row == 4.75 + 2.0 * 12 - 0.5 * 102 + 0.25


def test_a_length_bonus_alone_is_something_to_add_and_nothing_is_nothing():
    assert not Fusion({}, 0.0, Vocabulary(V)) and Fusion({"a": Toy(1.0, 1.0)}, 0.0, Vocabulary(V))
    fusion = Fusion({}, 0.5, Vocabulary(V))
    state = fusion.advance(fusion.start({}, 1), torch.tensor([0, 0]), torch.tensor([2, 0]))
    assert fusion and state.totals.tolist() == [0.5, 0.0] and fusion.final(state).tolist() == [0.0, 0.0]
    assert fusion.parts(state) == [{}, {}]


def test_scorers_are_built_from_the_options_of_a_search(tmp_path):
    bias, letters = {"name": "hotwords", "phrases": ["a"], "scale": 2.0}, CharTokenizer.Config().build()
    letters.fit(["ab"])
    config = validate(FusionConfig, {"scorers": {"bias": bias}, "length_bonus": 1.0})
    facts = {"vocabulary": Vocabulary(V), "tokenizer": letters, "model_dir": tmp_path}
    fusion = Fusion.build(config.scorers, config.length_bonus, **facts)
    assert fusion.scales == [2.0] and fusion.scorers["bias"].model_dir == tmp_path
    assert issubclass(FusionConfig, Config)


def test_one_name_for_two_scorers_is_an_error():
    with pytest.raises(ConfigError, match="rescore: expected other names than in scorers, got lm in both"):
        validate(FusionConfig, {"scorers": {"lm": "hotwords"}, "rescore": {"lm": "hotwords"}})
