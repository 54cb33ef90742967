from __future__ import annotations

import json
import os

import numpy as np
import pytest
import soundfile
import tiny
import torch
from lhotse import Recording, SupervisionSegment

from speechkit.data.audio import load_audio
from speechkit.data.cuts import open_cuts, write_cuts
from speechkit.data.dataset import AsrDataset
from speechkit.features.base import Featurizer
from speechkit.tasks.base import load_config
from speechkit.tasks.manifests import open_splits, split_paths
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


def test_manifests_of_one_name_have_features_of_their_own(tmp_path):
    conf, names = tiny.write_corpus(tmp_path), []
    for folder, count, seed in (("c1", 3, 5), ("c2", 4, 6)):
        tiny.write_split(tmp_path / folder, "train", count, seed)
        names.append(str(tmp_path / folder / "train.jsonl.gz"))
    config = load_config(conf, ["data.features=precomputed", f"data.train=[{', '.join(names)}]"])
    store_features(config)
    stored = [(cut.id, cut.duration) for cut in open_splits(names, config)]
    assert stored == [(cut.id, cut.duration) for name in names for cut in open_cuts(name)]
    audio = load_audio(list(open_cuts(names[1]))[0], tiny.RATE)
    feats = config.featurizer.build().eval()(torch.from_numpy(audio)[None], torch.tensor([len(audio)]))[0][0]
    np.testing.assert_allclose(list(open_splits(names[1:], config))[0].load_features(), feats.numpy(), atol=1e-6)


def test_features_of_another_version_of_the_manifest_are_never_read(tmp_path):
    config = load_config(tiny.write_corpus(tmp_path), ["data.features=precomputed"])
    before = store_features(config)
    tiny.write_split(tmp_path / "data", "train", 4, seed=9)
    os.utime(tmp_path / "data" / "train.jsonl.gz", (0, 0))  # copied with its old date
    with pytest.raises(ValueError, match="train.*no stored features; run `speechkit features`"):
        split_paths(["train"], config)
    after = store_features(config)
    assert [a == b for a, b in zip(after, before)] == [False, True, True]
    assert [cut.id for cut in open_splits(["train"], config)] == [f"train-{i}" for i in range(4)]


def test_features_of_a_missing_manifest_say_how_to_make_it(tmp_path):
    config = load_config(tiny.write_corpus(tmp_path), ["data.features=precomputed", "data.train=[nothere]"])
    for use in (store_features, lambda config: split_paths(config.data.train, config)):
        with pytest.raises(ValueError, match="nothere.jsonl.gz: no such manifest .* run the prepare stage first"):
            use(config)


@pytest.mark.parametrize("name", sorted(Featurizer.registry))
def test_stored_features_of_every_kind_equal_those_made_on_the_fly(tmp_path, name):
    cuts, random = [], np.random.default_rng(0)
    for length in (8073, 6000):  # no whole number of frames, which kinds round in different ways
        soundfile.write(tmp_path / f"{length}.wav", random.uniform(-0.5, 0.5, length), tiny.RATE)
        cut = Recording.from_file(tmp_path / f"{length}.wav").to_cut()
        cut.supervisions = [SupervisionSegment(cut.id, cut.id, 0.0, cut.duration, text="low")]
        cuts.append(cut)
    conf = tiny.write_corpus(tmp_path)
    write_cuts(cuts, tmp_path / "data" / "odd.jsonl.gz")
    config = load_config(conf, [
        "data.features=precomputed", "data.train=[odd]", "data.valid=[odd]", "data.test=[odd]", f"featurizer={name}",
    ])  # fmt: skip
    store_features(config)
    rate = config.featurizer.sampling_rate
    stored = AsrDataset(lambda text: [1], rate, "precomputed")[list(open_splits(["odd"], config))]
    flying = AsrDataset(lambda text: [1], rate)[cuts]
    feats, lens = config.featurizer.build().eval()(flying.inputs, flying.input_lens)
    assert stored.input_lens.tolist() == lens.tolist()
    torch.testing.assert_close(stored.inputs, feats[:, : max(lens)], atol=1e-6, rtol=0)


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
