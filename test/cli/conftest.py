from __future__ import annotations

import shutil

import pytest
import tiny

from speechkit.cli.main import main


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory):
    """A tiny experiment made by the command line alone, up to its scores. Returns the folder with conf.yaml and exp/."""
    folder = tmp_path_factory.mktemp("cli")
    conf, exp = str(tiny.write_corpus(folder)), str(folder / "exp")
    fast = ["train.max_epochs=8", "train.validate_every=4", "search.name=ctc_prefix_beam"]
    for argv in (["tokenizer", conf], ["train", conf, "--exp", exp, *fast], ["average", exp], ["decode", exp], ["score", exp]):
        assert main(argv) == 0
    return folder


@pytest.fixture
def finished(finished_once, tmp_path_factory):
    """A copy of it for one test, since nearly every verb writes into the experiment."""
    return shutil.copytree(finished_once, tmp_path_factory.mktemp("finished") / "cli")
