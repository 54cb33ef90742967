from __future__ import annotations

import pytest
import tiny
import torch

from speechkit.config import ConfigError
from speechkit.tasks.asr import AsrTask, get_tokenizer
from speechkit.tasks.base import load_config


@pytest.fixture
def task(tmp_path):
    config = load_config(tiny.write_corpus(tmp_path))
    task = AsrTask(config, get_tokenizer(config), torch.device("cpu"))
    task.begin()
    return task


def test_it_yields_one_loss_per_utterance_and_objective(task):
    batch = next(task.batches().epoch(0, 0))
    ((network, losses),) = task.losses(batch)
    assert network == "model" and losses["ctc"].shape == (len(batch),) and losses["ctc"].isfinite().all()


def test_the_parts_of_a_loss_are_yielded_beside_it_and_do_not_count_in_validation(tmp_path):
    rnnt = "{name: pruned_transducer, weight: 0.5, decoder: {joiner_dim: 8, predictor: {dim: 8}}}"
    changes = [f"objectives={{rnnt: {rnnt}}}", "search=transducer_greedy", "valid_search=transducer_greedy"]
    config = load_config(tiny.write_corpus(tmp_path), changes)
    task = AsrTask(config, get_tokenizer(config), torch.device("cpu"))
    task.begin()
    batch = next(task.batches().epoch(0, 0))
    ((_, losses),) = task.losses(batch)
    assert losses.keys() == {"rnnt", "rnnt.simple", "rnnt.pruned"} and task.weights == {"rnnt": 0.5}
    task.at_step(0)  # warming up, which validation knows nothing of
    task.model.eval()
    found = task.validate()["loss"]
    dev = [next(task.losses(batch))[1] for batch in task.valid_loader.epoch(0)]
    simple, pruned = (torch.cat([losses[f"rnnt.{part}"] for losses in dev]).mean() for part in ("simple", "pruned"))
    assert found == pytest.approx(0.5 * (0.5 * simple + pruned).item())


def test_global_statistics_normalise_the_training_features(task):
    feats = torch.cat([f for batch in task.batches().epoch(0, 0) for f in task._features(batch)])
    normalised = task.model.cmvn(feats[None], torch.tensor([len(feats)]))[0]
    torch.testing.assert_close(normalised.mean(0), torch.zeros(23), atol=1e-3, rtol=0)
    torch.testing.assert_close(normalised.std(0), torch.ones(23), atol=1e-2, rtol=0)


def test_validation_gives_loss_and_error_rates_in_per_cent(task):
    task.model.eval()
    metrics = task.validate()
    assert metrics.keys() == {"loss", "wer", "cer"} and metrics["loss"] > 0 and 0 <= metrics["wer"] <= 500


def test_initial_weights_depend_on_the_seed_only(tmp_path):
    config = load_config(tiny.write_corpus(tmp_path))
    tokenizer, device = get_tokenizer(config), torch.device("cpu")
    a, b = (AsrTask(config, tokenizer, device).model.encoder.state_dict() for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    other = AsrTask(load_config(tmp_path / "conf.yaml", ["seed=4"]), tokenizer, device).model.encoder.state_dict()
    assert any(not torch.equal(a[name], other[name]) for name in a)


def test_a_token_outside_of_the_vocabulary_names_the_cut(task, tmp_path):
    tiny.TONES["new"] = 900.0
    try:
        tiny.write_split(tmp_path / "data", "dev", 9, seed=5)
    finally:
        del tiny.TONES["new"]
    with pytest.raises(ValueError, match=r"cut dev-\d: .*new"):
        task.validate()


def test_the_tokenizer_is_fitted_once(tmp_path, capsys):
    config = load_config(tiny.write_corpus(tmp_path))
    first = get_tokenizer(config)
    assert "tokenizer: word with 5 tokens" in capsys.readouterr().err
    assert get_tokenizer(config).tokens == first.tokens and capsys.readouterr().err == ""


def test_an_unknown_objective_is_an_error_that_lists_the_known(tmp_path):
    tiny.write_corpus(tmp_path)
    with pytest.raises(ConfigError, match="no objective is called 'ctcc', did you mean 'ctc'"):
        load_config(tmp_path / "conf.yaml", ["objectives.x.name=ctcc"])


def test_an_objective_that_is_not_there_cannot_be_taken_out(tmp_path):
    with pytest.raises(ConfigError, match="objectives.cct: .* did you mean objectives.ctc?"):
        load_config(tiny.write_corpus(tmp_path), ["objectives.cct=null"])


def test_a_search_that_reads_a_transducer_otherwise_than_it_was_trained_is_refused(tmp_path):
    conf = tiny.write_corpus(tmp_path)
    monotonic = ["objectives.ctc=null", "objectives.rna.name=transducer", "objectives.rna.topology=monotonic"]
    searches = ["search=transducer_beam", "valid_search=transducer_greedy", "search.max_symbols_per_frame=1"]
    with pytest.raises(ConfigError, match="valid_search.max_symbols_per_frame: expected 1, since topology monotonic"):
        load_config(conf, [*monotonic, *searches])
    assert load_config(conf, [*monotonic, *searches, "valid_search.max_symbols_per_frame=1"])


def test_only_what_a_search_reads_has_to_suit_it(tmp_path):
    conf, mmi = tiny.write_corpus(tmp_path), ["objectives.ctc.name=ctc", "objectives.mmi.name=lf_mmi"]
    assert load_config(conf, mmi).search.name == "ctc_greedy"  # of ctc, the first
    with pytest.raises(ConfigError, match=r"search\.name: expected graph_viterbi, which goes by lf_mmi's topology hmm"):
        load_config(conf, [*mmi, "search.objective=mmi"])
    assert load_config(conf, [*mmi, "search.objective=mmi", "objectives.mmi.topology=ctc"])


@pytest.mark.parametrize("change", ["objectives.ctc=null", "objectives.ctc.weight=0"])
def test_a_recogniser_without_anything_to_learn_is_refused(tmp_path, change):
    with pytest.raises(ConfigError, match="objectives: expected at least one with a weight above 0"):
        load_config(tiny.write_corpus(tmp_path), [change])
