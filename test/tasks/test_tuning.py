from __future__ import annotations

import json
import shutil

import pytest

from speechkit.config import ConfigError
from speechkit.tasks.evaluate import decode
from speechkit.tasks.tuning import parse_grid, tune


@pytest.fixture
def exp(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "exp")


def test_every_combination_is_tried_and_the_one_with_the_fewest_errors_comes_first(exp):
    # Where a token has to be almost certain to be taken at all, and one prefix is kept, words get lost.
    grid = {"search.min_token_prob": ["0.999", "0"], "search.beam_size": ["1", "4"]}
    trials = tune(exp, grid, ["dev"], ["search.name=ctc_prefix_beam"], "cpu")
    assert {trial.overrides for trial in trials} == {
        (f"search.min_token_prob={p}", f"search.beam_size={k}") for p in ("0.999", "0") for k in ("1", "4")
    }
    assert [trial.errors for trial in trials] == sorted(trial.errors for trial in trials)
    best = ["search.name=ctc_prefix_beam", *trials[0].overrides]
    rows = [json.loads(line) for line in (decode(exp, ["dev"], best, "cpu")[0] / "hyps.jsonl").read_text().splitlines()]
    assert sum(row["ref"] != row["hyp"] for row in rows) == 0 == trials[0].errors
    saved = json.loads((exp / "tuning.json").read_text())
    assert saved["sets"] == ["dev"] and saved["trials"][0]["overrides"] == list(trials[0].overrides) and saved["machine"]


def test_the_grid_is_read_from_the_command_line():
    grid = parse_grid(["search.length_bonus=0, 0.5,1", "search.beam_size=2,4"])
    assert grid == {"search.length_bonus": ["0", "0.5", "1"], "search.beam_size": ["2", "4"]}


@pytest.mark.parametrize("wrong", ["search.beam_size", "search.beam_size=4", "encoder.dim=3,4", "beam_size=2,4"])
def test_what_cannot_be_tuned_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"--tune {wrong}: expected search.some.key=VALUE,VALUE"):
        parse_grid([wrong])


def test_a_value_that_no_search_can_have_is_named(exp):
    with pytest.raises(ConfigError, match="search.beam_size"):
        tune(exp, {"search.beam_size": ["4", "0"]}, overrides=["search.name=ctc_prefix_beam"], device="cpu")
