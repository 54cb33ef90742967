from __future__ import annotations

import json

import numpy as np
import pytest
import tiny
import torch

from speechkit.data.audio import load_audio
from speechkit.data.cuts import open_cuts
from speechkit.tasks.base import load_config
from speechkit.tasks.stored_features import store_features
from speechkit.tasks.training import train

FAST = ["train.max_epochs=2", "train.validate_every=0"]


def losses(exp_dir):
    rows = map(json.loads, (exp_dir / "train.jsonl").read_text().splitlines())
    return [row["loss"] for row in rows if row["event"] == "step"]


def test_stored_features_train_like_those_made_on_the_fly(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    config = load_config(conf, [*FAST, "data.features=precomputed"])
    with pytest.raises(ValueError, match="no stored features; run `speechkit features`"):
        train(config, tmp_path / "none")
    assert len(store_features(config)) == 3
    train(config, tmp_path / "stored")
    train(load_config(conf, FAST), tmp_path / "flying")
    assert losses(tmp_path / "stored") == pytest.approx(losses(tmp_path / "flying"), rel=1e-3)


def test_what_is_stored_is_what_the_featurizer_gives_and_is_made_once(tmp_path):
    config = load_config(tiny.write_corpus(tmp_path), ["data.features=precomputed"])
    path = store_features(config)[1]
    stored, cut = next(iter(open_cuts(path))), next(iter(open_cuts(tmp_path / "data" / "dev.jsonl.gz")))
    wav = torch.from_numpy(load_audio(cut, tiny.RATE))
    feats, lens = config.featurizer.build().eval()(wav[None], torch.tensor([len(wav)]))
    np.testing.assert_allclose(stored.load_features(), feats[0, : lens[0]].numpy(), atol=1e-6)
    written = path.stat().st_mtime_ns
    store_features(config)
    assert path.stat().st_mtime_ns == written
    other = store_features(load_config(tmp_path / "conf.yaml", ["data.features=precomputed", "featurizer.num_mel_bins=20"]))
    assert other[1].parent != path.parent
