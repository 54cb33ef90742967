from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from speechkit.config import ConfigError
from speechkit.tasks.asr import build_model
from speechkit.tasks.base import load_config, save_config
from speechkit.text.vocabulary import Vocabulary

EGS = sorted((Path(__file__).parents[2] / "egs").glob("*/asr/conf/*.yaml"))


@pytest.mark.parametrize("path", EGS, ids=lambda p: "-".join(p.parts[-4:]))
def test_every_recipes_config_loads_builds_and_round_trips(path, tmp_path):
    config = load_config(path)
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    if config.name == "lm":
        assert load_config(path, ["lm.dim=16"]).lm.build(vocabulary=Vocabulary(7)).network.out_dim == 16
    else:
        assert build_model(load_config(path, ["encoder.dim=16"]), vocabulary=Vocabulary(7)).encoder.out_dim == 16


def test_the_recipes_are_there():
    assert len(EGS) >= 8


def test_an_unknown_task_or_a_typo_is_an_error_that_names_it(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    with pytest.raises(ConfigError, match="task: expected one of asr, distill, lm, tts, vocoder, got 'asrr'"):
        load_config(conf, ["task=asrr"])
    with pytest.raises(ConfigError, match="encoder.dimm: unknown key; did you mean encoder.dim"):
        load_config(conf, ["encoder.dimm=3"])
    with pytest.raises(ConfigError, match="train.optimizer.lr"):
        load_config(conf, ["lr=3"])
