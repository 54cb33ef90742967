from __future__ import annotations

import shutil

import pytest
import tiny

from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import average, decode, score_sets
from speechkit.tasks.training import train


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished experiment on the tiny corpus; copy it before changing it."""
    folder = tmp_path_factory.mktemp("tiny")
    conf = tiny.write_corpus(folder)
    assert train(load_config(conf), folder / "exp")
    average(folder / "exp")
    decode(folder / "exp", device="cpu")
    score_sets(folder / "exp")
    return folder / "exp"


@pytest.fixture
def model_dir(trained, tmp_path):
    """A copy of the finished model alone, as one would move it to another machine."""
    target = tmp_path / "model"
    shutil.copytree(trained / "tokenizer", target / "tokenizer")
    for name in ("config.yaml", "averaged.safetensors", "checksums.json"):
        shutil.copy(trained / name, target / name)
    return target
