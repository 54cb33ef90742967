"""Every recipe of synthesis through its own run.sh, from a corpus in its real layout to a report."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import corpus_layouts
import pytest
import voice_layouts
from test_recipes import ROOT, checkout  # noqa: F401 - a fixture

SIZES = {"n_fft": 128, "win_length": 128, "hop_length": 16, "num_mel_bins": 9}
TINY = [
    "tokenizer.unknown=token",  # so few sentences do not have all phones
    "data.num_workers=0",
    "data.sampler.batch_duration=5",
    "data.sampler.max_duration=null",
    "train.max_epochs=1",
    "train.average=1",
]
NO_SIZE = "{name: fft, dim: 8, num_layers: 1, num_heads: 2, ff_dim: 8, kernel_sizes: [3, 1]}"
FASTSPEECH2 = [
    "model.embed_dim=8",
    f"model.encoder={NO_SIZE}",
    f"model.decoder={NO_SIZE}",
    *(f"model.{part}.dim=8" for part in ("duration", "pitch", "energy")),
]
# For corpora of short noise, which has no pitch, and needs short frames.
FOR_NOISE = [
    *(f"featurizer.{key}={value}" for key, value in SIZES.items()),
    "featurizer.high_freq=0",
    "--model=non_attentive_tacotron",
    "model.prenet_dims=[8]",
    *(f"model.{part}=8" for part in ("embedding_dim", "encoder_dim", "duration_dim", "dim", "postnet_dim")),
]
FEW = ["corpus.num_dev=1", "corpus.num_test=1"]

ONE_PART = ("train-clean-100",)
RECIPES = {  # corpus: (what writes it, overrides, utterances that are spoken)
    "mini": (None, ["corpus.num_train=9", "corpus.num_dev=2", "corpus.num_test=2"], 2),
    "ljspeech": (voice_layouts.write_ljspeech, FEW, 1),
    "kathleen": (voice_layouts.write_kathleen, FEW, 1),
    "fsdd": (corpus_layouts.write_fsdd, ["corpus.num_dev_takes=1", "data.test=[dev]"], None),
    "vctk": (voice_layouts.write_vctk, [*FEW, "featurizer.hop_length=8"], 3),
    "libritts": (
        partial(voice_layouts.write_libritts, parts=ONE_PART, clips=4),
        [f"corpus.train_parts=[{ONE_PART[0]}]"],
        1,
    ),
    "baker": (voice_layouts.write_baker, FEW, 1),
}


def run(checkout: Path, corpus: str, *arguments: str) -> str:  # noqa: F811
    command = [str(checkout / "egs" / corpus / "tts" / "run.sh"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=os.environ, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.recipe
@pytest.mark.parametrize("corpus", RECIPES)
def test_a_recipe_goes_from_the_corpus_to_the_report(checkout, tmp_path, corpus):  # noqa: F811
    write, overrides, count = RECIPES[corpus]
    if write is not None:
        write(tmp_path / "corpora" / corpus)
    options = [*TINY, *(FASTSPEECH2 if write is None else FOR_NOISE), *overrides]
    out = run(checkout, corpus, *options)
    exp = checkout / "egs" / corpus / "tts" / "exp" / ("fastspeech2" if write is None else "non_attentive_tacotron")
    assert f"report: {exp}/report.html" in out
    (spoken,) = (exp / "synthesis").iterdir()
    rows = [json.loads(line) for line in (spoken / "utterances.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows and (count is None or len(rows) == count)
    assert all((spoken / row["wav"]).stat().st_size > 44 and row["text"] for row in rows)
    assert (spoken / "scores.json").exists()
    if write is not None:
        return
    again = run(checkout, corpus, *options)
    assert again.count("done before") == again.count("== stage")  # nothing runs twice


def test_every_recipe_is_tested_here():
    assert {path.parts[-3] for path in ROOT.glob("egs/*/tts/run.sh")} == RECIPES.keys()
