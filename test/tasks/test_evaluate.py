from __future__ import annotations

import json
import shutil

import jiwer
import pytest
import torch
from safetensors.torch import load_file

from speechkit.tasks.evaluate import average, decode, score_sets


def test_the_tiny_task_is_solved_and_the_score_is_jiwers(trained):
    rows = [json.loads(line) for line in (trained / "decode" / "test" / "hyps.jsonl").read_text().splitlines()]
    assert len(rows) == 7 and [row["id"] for row in rows] == [f"test-{i}" for i in range(7)]
    wer = json.loads((trained / "decode" / "test" / "wer.json").read_text())
    assert wer["rate"] == pytest.approx(jiwer.wer([r["ref"] for r in rows], [r["hyp"] for r in rows])) == 0.0
    facts = json.loads((trained / "decode" / "test" / "decode.json").read_text())
    assert facts["audio_seconds"] == pytest.approx(sum(r["duration"] for r in rows)) and facts["rtf"] > 0


def test_the_model_is_the_mean_of_the_weights_that_were_kept(trained):
    files = sorted((trained / "weights" / "model").glob("*.safetensors"))
    assert len(files) == 2
    parts, mean = [load_file(f) for f in files], load_file(trained / "averaged.safetensors")
    for name in mean:
        if mean[name].is_floating_point():
            torch.testing.assert_close(mean[name], (parts[0][name] + parts[1][name]) / 2)


def test_decoding_another_way_changes_the_search_only(trained, tmp_path):
    exp = shutil.copytree(trained, tmp_path / "exp")
    (folder,) = decode(exp, ["dev"], ["search.name=ctc_prefix_beam", "search.beam_size=4"], "cpu")
    assert folder.name == "dev" and json.loads((folder / "decode.json").read_text())["search"]["beam_size"] == 4
    with pytest.raises(ValueError, match="search.* and data.* only"):
        decode(exp, ["dev"], ["encoder.dim=3"], "cpu")


def test_a_missing_step_names_the_command(tmp_path):
    with pytest.raises(ValueError, match="train first"):
        average(tmp_path)
    with pytest.raises(ValueError, match="speechkit decode"):
        score_sets(tmp_path)


def test_decoding_again_leaves_no_scores_of_what_was_decoded_before(trained, tmp_path):
    exp = shutil.copytree(trained, tmp_path / "exp")
    folder = exp / "decode" / "test"
    assert (folder / "wer.json").exists() and (folder / "errors.txt").exists()
    decode(exp, ["test"], ["search.name=ctc_prefix_beam"], "cpu")
    assert sorted(path.name for path in folder.iterdir()) == ["decode.json", "hyps.jsonl"]
