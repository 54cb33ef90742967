"""Every recipe through its own run.sh, from a corpus laid out as the real one to a report, with a model of no size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import corpus_layouts
import pytest

ROOT = Path(__file__).parents[1]
TINY = [
    "encoder.dim=8",
    "encoder.subsampling=stack",
    "data.num_workers=0",
    "train.max_epochs=2",
    "train.precision=float32",
    "train.average=2",
]
TINY_CONFORMER = [*TINY, "encoder.num_layers=1", "encoder.num_heads=2", "encoder.ff_dim=8", "encoder.kernel_size=3"]
SMALL_BPE = [*TINY_CONFORMER, "tokenizer.vocab_size=40"]

RECIPES = {  # corpus: (what writes it, overrides, sets that are decoded)
    "mini": (None, [*TINY_CONFORMER, "tokenizer=char", "corpus.num_train=24", "corpus.num_dev=6", "corpus.num_test=6"], ["test"]),
    "yesno": (corpus_layouts.write_yesno, [*TINY, "train.checkpoint_every=1"], ["test"]),
    "fsdd": (corpus_layouts.write_fsdd, [*TINY_CONFORMER, "train.max_epochs=1", "encoder.subsampling_factor=8"], ["test"]),
    "mini_librispeech": (corpus_layouts.write_mini_librispeech, SMALL_BPE, ["test"]),
    "librispeech": (corpus_layouts.write_librispeech, [*SMALL_BPE, "normalizer.name=basic"], ["test_clean", "test_other"]),
    "aishell": (corpus_layouts.write_aishell, TINY_CONFORMER, ["test"]),
    "common_voice": (corpus_layouts.write_common_voice, [*TINY_CONFORMER, "tokenizer.name=char", "tokenizer.unknown=token"], ["test"]),
}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the recipes, in which they may write, with a speechkit to call."""
    for name in ("egs", "utils"):
        shutil.copytree(ROOT / name, tmp_path / "repo" / name, ignore=shutil.ignore_patterns("data", "exp", "downloads"))
    binaries = tmp_path / "venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    (binaries / "speechkit").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m speechkit "$@"\n')
    (binaries / "speechkit").chmod(0o755)
    (tmp_path / "corpora").mkdir()
    for name, value in (("SPEECHKIT_VENV", tmp_path / "venv"), ("SPEECHKIT_CORPORA", tmp_path / "corpora")):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "repo"


def run(checkout, corpus, *arguments):
    command = [str(checkout / "egs" / corpus / "asr" / "run.sh"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=dict(os.environ))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.recipe
@pytest.mark.parametrize("corpus", RECIPES)
def test_a_recipe_goes_from_the_corpus_to_the_report(checkout, tmp_path, corpus):
    write, overrides, sets = RECIPES[corpus]
    if write is not None:
        write(tmp_path / "corpora" / corpus)
    out = run(checkout, corpus, *overrides)
    exp = checkout / "egs" / corpus / "asr" / "exp" / "ctc"
    assert f"report: {exp}/report.html" in out and "WER" in out
    for name in sets:
        rows = [json.loads(line) for line in (exp / "decode" / name / "hyps.jsonl").read_text().splitlines()]
        wer = json.loads((exp / "decode" / name / "wer.json").read_text())
        assert rows and wer["ref_len"] == sum(len(row["ref"].split()) for row in rows)
    again = run(checkout, corpus, *overrides)
    assert again.count("done before") == again.count("== stage")  # nothing runs twice


@pytest.mark.recipe
def test_one_key_selects_the_other_split(checkout, tmp_path):
    corpus_layouts.write_mini_librispeech(tmp_path / "corpora" / "mini_librispeech")
    run(checkout, "mini_librispeech", "--stop-stage", "1", "corpus.split=held_out_speakers")
    folder = checkout / "egs" / "mini_librispeech" / "asr" / "data" / "mini_librispeech_split-held_out_speakers"
    assert {path.name for path in folder.glob("*.jsonl.gz")} == {"train.jsonl.gz", "dev.jsonl.gz", "test.jsonl.gz"}


def test_every_recipe_is_tested_here():
    assert {path.parts[-3] for path in ROOT.glob("egs/*/asr/run.sh")} == RECIPES.keys()
