from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from speechkit.utils.model_dir import check_model_dir, load_weights, read_json, write_checksums


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "exp"
    for name in ("config.yaml", "tokenizer/tokens.json", "train.jsonl", "graph/graph.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    save_file({"w": torch.ones(2)}, folder / "averaged.safetensors")
    write_checksums(folder)
    return folder


def test_the_files_of_the_model_are_covered_and_only_they(model):
    covered = json.loads((model / "checksums.json").read_text())
    assert set(covered) == {"config.yaml", "averaged.safetensors", "tokenizer/tokens.json"}
    check_model_dir(model)
    (model / "train.jsonl").write_text("a longer log")
    (model / "graph" / "graph.json").write_text("another graph")
    check_model_dir(model)


def test_an_altered_or_missing_file_is_named(model):
    (model / "tokenizer" / "tokens.json").write_text("other")
    with pytest.raises(ValueError, match="tokens.json: altered since the model was made"):
        check_model_dir(model)
    (model / "tokenizer" / "tokens.json").unlink()
    with pytest.raises(ValueError, match="tokens.json: missing from the model"):
        check_model_dir(model)


def test_what_is_no_finished_model_is_refused_with_a_remedy(model, tmp_path):
    (model / "checksums.json").unlink()
    with pytest.raises(ValueError, match=r"no finished model; run `speechkit average .*exp`"):
        check_model_dir(model)
    with pytest.raises(ValueError, match="expected a model directory, found nothing"):
        check_model_dir(tmp_path / "nowhere")


def test_weights_and_json_are_read_or_the_file_is_named(model):
    assert torch.equal(load_weights(model / "averaged.safetensors")["w"], torch.ones(2))
    with pytest.raises(ValueError, match=r"config.yaml: damaged weights"):
        load_weights(model / "config.yaml")
    with pytest.raises(ValueError, match="no such file; `speechkit average"):
        load_weights(model / "none.safetensors")
    with pytest.raises(ValueError, match="config.yaml: not valid JSON"):
        read_json(model / "config.yaml")
    with pytest.raises(ValueError, match=r"none.json: missing from the experiment"):
        read_json(model / "none.json")
