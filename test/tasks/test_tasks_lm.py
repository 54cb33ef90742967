from __future__ import annotations

import json
import math
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
import tiny
import torch
from lm_text import write_texts

from speechkit.config import ConfigError
from speechkit.models.lm.base import load_language_model
from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import average, decode
from speechkit.tasks.lm import LmTask, get_tokenizer, score_texts
from speechkit.tasks.training import train
from speechkit.train import checkpoint
from speechkit.train.trainer import Trainer

EGS = Path(__file__).parents[2] / "egs"


def rows(exp_dir, event):
    return [row for row in map(json.loads, (exp_dir / "train.jsonl").read_text().splitlines()) if row["event"] == event]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished language model; copy it before changing it."""
    folder = tmp_path_factory.mktemp("lm")
    assert train(load_config(write_texts(folder)), folder / "exp")
    average(folder / "exp")
    return folder / "exp"


def sentences(folder, name):
    return (folder / f"{name}.txt").read_text().splitlines()


def test_it_learns_the_grammar_far_beyond_single_words(trained):
    """The grammar's own perplexity per token is about 2: most words leave one choice in two or fewer."""
    counts = Counter(word for line in sentences(trained.parent, "train") for word in [*line.split(), "."])
    test = [word for line in sentences(trained.parent, "test") for word in [*line.split(), "."]]
    unigram = math.exp(-sum(math.log(counts[word] / counts.total()) for word in test) / len(test))
    found = score_texts(trained, "cpu")[f"{trained.parent}/test.txt"]
    assert found["per_token"] < 2.3 and unigram > 6
    assert found["sentences"] == 60 and found["tokens"] == len(test) == found["words"] + 60
    assert found["per_word"] == pytest.approx(found["per_token"])  # its tokens are words
    assert json.loads((trained / "perplexity.json").read_text())[f"{trained.parent}/test.txt"] == found


def test_perplexity_is_the_exponential_of_nats_per_token_with_the_end_of_each_sentence(trained):
    network, tokenizer = load_language_model(trained)
    nats = tokens = 0
    for line in sentences(trained.parent, "test"):
        ids = torch.tensor([tokenizer.encode(line)])
        nats += network.nats(ids, torch.tensor([ids.shape[1]])).item()
        tokens += ids.shape[1] + 1
    found = score_texts(trained, "cpu")[f"{trained.parent}/test.txt"]
    assert found["nats"] == pytest.approx(nats) and found["per_token"] == pytest.approx(math.exp(nats / tokens))


def test_the_log_counts_tokens_and_validation_measures_perplexity(trained):
    train_tokens = sum(len(line.split()) + 1 for line in sentences(trained.parent, "train"))
    first = [row for row in rows(trained, "step") if row["epoch"] == 0]
    assert sum(row["tokens"] for row in first) == train_tokens and sum(row["utterances"] for row in first) == 300
    valid = rows(trained, "valid")
    assert len(valid) == 4 and valid[-1]["perplexity"] < valid[0]["perplexity"]
    tokens = sum(len(line.split()) + 1 for line in sentences(trained.parent, "dev"))
    assert valid[-1]["perplexity"] == pytest.approx(math.exp(valid[-1]["loss"] * 40 / tokens))


def test_the_model_directory_holds_what_fusion_reads_and_no_data(trained, tmp_path):
    assert {name for name in json.loads((trained / "checksums.json").read_text())} == {
        "config.yaml", "averaged.safetensors", *(f"tokenizer/{n}" for n in ("tokenizer.yaml", "tokens.json", "checksums.json"))
    }  # fmt: skip
    shutil.copytree(trained, tmp_path / "moved", ignore=shutil.ignore_patterns("checkpoints", "weights", "tensorboard"))
    network, tokenizer = load_language_model(tmp_path / "moved")
    assert network.vocabulary == tokenizer.vocabulary
    assert checkpoint.read_metadata(trained / "averaged.safetensors").keys() == {"averaged"}


def test_a_run_resumed_in_the_middle_of_an_epoch_equals_the_straight_one_bit_for_bit(tmp_path, monkeypatch):
    config = load_config(write_texts(tmp_path), ["lm.dropout=0.3", "train.max_epochs=2"])
    assert train(config, tmp_path / "straight")
    step = Trainer._train_step

    def stopping(self, group, waited):
        step(self, group, waited)
        if self.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "_train_step", stopping)
    assert not train(config, tmp_path / "stopped")
    monkeypatch.undo()
    shutil.rmtree(tmp_path / "texts")  # what can be made again is
    assert train(config, tmp_path / "stopped")
    ends = [checkpoint.load(checkpoint.steps(tmp_path / n / "checkpoints", ".pt")[-1][1]) for n in ("straight", "stopped")]
    assert ends[0]["step"] == ends[1]["step"] > 5
    assert all(torch.equal(w, ends[1]["networks"]["model"][name]) for name, w in ends[0]["networks"]["model"].items())
    with open(tmp_path / "train.txt", "a") as file:
        file.write("the cat sleeps\n")
    with pytest.raises(ValueError, match=r"stopped: its checkpoints were made with other utterances of .*train.txt"):
        train(config, tmp_path / "stopped")


def test_the_tokenizer_may_be_that_of_a_recogniser_trained_or_not(tmp_path, capsys):
    asr_conf, conf = tiny.write_corpus(tmp_path), write_texts(tmp_path)
    for name in ("train", "dev"):
        (tmp_path / f"{name}.txt").write_text("low high high\nhigh low\n")
    config = load_config(conf, ["tokenizer=null", f"tokenizer_from={asr_conf}"])
    tokenizer = get_tokenizer(config)
    assert tokenizer.tokens[2:-1] == ["high", "low"]
    tokenizer.save(tmp_path / "exp" / "tokenizer")
    for source in (tmp_path / "exp", tmp_path / "exp" / "tokenizer"):
        assert get_tokenizer(config.model_copy(update={"tokenizer_from": str(source)})).tokens == tokenizer.tokens
    assert "normalizer" not in capsys.readouterr().err
    get_tokenizer(load_config(conf, ["tokenizer=null", f"tokenizer_from={asr_conf}", "normalizer=basic"]))
    assert "warning: normalizer: not that of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tokenizer=null"], "tokenizer: expected either tokenizer or tokenizer_from, got neither"),
        (["tokenizer_from=exp/ctc"], "tokenizer: expected either tokenizer or tokenizer_from, got both"),
        (["lm.dim=0"], "lm.dim: expected greater than or equal to 1"),
        (["lm.name=gru"], "no lm is called 'gru'"),
        (["encoder.dim=3"], "encoder: unknown key"),
    ],
)
def test_mistakes_in_the_config_are_named(tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config(write_texts(tmp_path), overrides)


def test_a_tokenizer_that_is_not_there_and_a_wrong_task_are_named(trained, tmp_path):
    conf = write_texts(tmp_path)
    nowhere = load_config(conf, ["tokenizer=null", f"tokenizer_from={tmp_path}/exp/ctc"])
    with pytest.raises(ValueError, match="tokenizer_from: .*exp/ctc: expected an experiment, a config .* got nothing there"):
        get_tokenizer(nowhere)
    with pytest.raises(ConfigError, match="config.yaml: task: expected asr, got lm"):
        decode(trained, device="cpu")
    asr_conf = tiny.write_corpus(tmp_path)
    with pytest.raises(ConfigError, match="conf.yaml: task: expected lm, got asr"):
        load_config(asr_conf, task="lm")


def test_initial_weights_depend_on_the_seed_only(tmp_path):
    conf = write_texts(tmp_path)

    def weights(*overrides):
        config = load_config(conf, overrides)
        return LmTask(config, get_tokenizer(config), tmp_path, torch.device("cpu")).model.state_dict()

    a, b, other = weights(), weights(), weights("seed=2")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["network.embedding.weight"], other["network.embedding.weight"])


@pytest.mark.parametrize("path", sorted(EGS.glob("conf/lm/*.yaml")), ids=lambda path: path.stem)
def test_the_configs_that_recipes_share_train(path, tmp_path):
    write_texts(tmp_path)
    texts = [f"data.{name}=[{tmp_path}/{name}.txt]" for name in ("train", "dev")]
    small = ["tokenizer=word", f"data.root={tmp_path}", texts[0], texts[1].replace("dev", "valid", 1), "lm.dim=16", "lm.num_layers=1"]
    assert train(load_config(path, [*small, "train.max_steps=2", "train.precision=float32"]), tmp_path / "exp")
