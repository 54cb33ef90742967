from __future__ import annotations

import pytest
import tiny
import torch
from lhotse.testing.dummies import dummy_cut

from speechkit.data.sampler import SamplerConfig
from speechkit.tasks import asr
from speechkit.tasks.base import load_config
from speechkit.tasks.manifests import (
    evaluation_sampler,
    manifest_dir,
    manifest_path,
    open_splits,
    tokenizer_dir,
    training_sample,
)


def test_each_choice_of_a_corpus_has_its_own_folder(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    plain = load_config(conf)
    assert manifest_dir(plain) == tmp_path / "data"
    official = load_config(conf, ["corpus=fsdd"])
    assert manifest_dir(official).name == "fsdd"
    other = load_config(conf, ["corpus=fsdd", "corpus.connected=true"])
    assert manifest_dir(other) == tmp_path / "data" / "fsdd_connected-true"
    assert manifest_path("x/y.jsonl.gz", other).as_posix() == "x/y.jsonl.gz"


def test_a_tokenizer_is_keyed_by_its_options_and_the_training_text(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    first = tokenizer_dir(load_config(conf))
    assert first == tokenizer_dir(load_config(conf, ["encoder.dim=8"]))
    assert first != tokenizer_dir(load_config(conf, ["tokenizer=char"]))
    tiny.write_split(tmp_path / "data", "train", 4, seed=8)
    assert first != tokenizer_dir(load_config(conf))


def test_a_tokenizer_is_keyed_by_the_content_of_its_lexicon(tmp_path):
    lexicon = tmp_path / "words.txt"
    config = load_config(tiny.write_corpus(tmp_path), [f"tokenizer={{name: phone, lexicon: {lexicon}}}"])
    with pytest.raises(OSError, match="words.txt: cannot read the lexicon"):
        asr.get_tokenizer(config)
    lexicon.write_text("low L OW\nhigh HH AY\n")
    first = tokenizer_dir(config)
    assert asr.get_tokenizer(config).vocab_size == 7
    lexicon.write_text("low L O W\nhigh HH AY\n")
    assert tokenizer_dir(config) != first
    assert asr.get_tokenizer(config).vocab_size == 8
    lexicon.write_text("low L OW\nhigh HH AY\n")
    assert tokenizer_dir(config) == first


def test_splits_are_read_one_after_the_other(tmp_path):
    config = load_config(tiny.write_corpus(tmp_path))
    ids = [cut.id for cut in open_splits(["dev", "test"], config)]
    assert ids == [f"dev-{i}" for i in range(5)] + [f"test-{i}" for i in range(7)]


def test_evaluation_leaves_nothing_out(tmp_path):
    config = load_config(tiny.write_corpus(tmp_path), ["data.sampler.max_duration=0.6", "data.sampler.batch_duration=1"])
    cuts = open_splits(["test"], config)
    seen = [cut.id for batch in evaluation_sampler(config.data.sampler, cuts) for cut in batch]
    assert sorted(seen) == [f"test-{i}" for i in range(7)]


def test_a_sample_for_statistics_is_spread_over_the_utterances_that_training_uses():
    cuts = [dummy_cut(i, duration=30.0 if i % 10 == 0 else 1.0) for i in range(100)]
    allowed = [cut.id for cut in cuts if cut.duration == 1.0]
    config = SamplerConfig(min_duration=0.5, max_duration=20.0)
    assert [cut.id for cut in training_sample(iter(cuts), config, most=100)] == allowed
    assert [cut.id for cut in training_sample(iter(cuts), config, most=30)] == allowed[::4]
    assert [cut.id for cut in training_sample(iter(cuts), config, most=1)] == allowed[:1]
    assert len(training_sample(iter(cuts), SamplerConfig(), most=100)) == 100


def test_global_statistics_see_only_utterances_that_training_uses(tmp_path, monkeypatch):
    monkeypatch.setattr(asr, "CMVN_CUTS", 7)
    config = load_config(tiny.write_corpus(tmp_path), ["data.sampler.max_duration=1.0"])
    task = asr.AsrTask(config, asr.get_tokenizer(config), torch.device("cpu"))
    used, noise = [], torch.get_rng_state()
    monkeypatch.setattr(task.model.cmvn, "fit", used.extend)
    task.begin()
    allowed = [cut for cut in open_splits(["train"], config) if cut.duration <= 1.0]
    assert 4 <= len(used) <= 7 < len(allowed)
    assert max(map(len, used)) <= task.model.featurizer.num_frames(tiny.RATE)
    assert torch.equal(noise, torch.get_rng_state())


def test_a_missing_manifest_says_how_to_make_it(tmp_path):
    config = load_config(tiny.write_corpus(tmp_path))
    with pytest.raises(ValueError, match="nothere.jsonl.gz"):
        list(open_splits(["nothere"], config))
