from __future__ import annotations

import json
import shutil

import jiwer
import numpy as np
import pytest
import soundfile
import tiny
import torch
from lhotse import AudioSource, CutSet, Recording, SupervisionSegment
from lhotse.utils import fastcopy
from safetensors.torch import load_file

from speechkit.data.cuts import write_cuts
from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import average, decode, score_sets
from speechkit.tasks.ngram import NGramOptions, make_ngram
from speechkit.text.tokenizer import Tokenizer


def test_the_tiny_task_is_solved_and_the_score_is_jiwers(trained):
    rows = [json.loads(line) for line in (trained / "decode" / "test" / "hyps.jsonl").read_text().splitlines()]
    assert len(rows) == 7 and [row["id"] for row in rows] == [f"test-{i}" for i in range(7)]
    wer = json.loads((trained / "decode" / "test" / "wer.json").read_text())
    assert wer["rate"] == pytest.approx(jiwer.wer([r["ref"] for r in rows], [r["hyp"] for r in rows])) == 0.0
    facts = json.loads((trained / "decode" / "test" / "decode.json").read_text())
    assert facts["audio_seconds"] == pytest.approx(sum(r["duration"] for r in rows)) and facts["rtf"] > 0


def test_every_hypothesis_has_the_parts_of_its_score(trained, tmp_path):
    exp = shutil.copytree(trained, tmp_path / "exp")
    path = tmp_path / "bigram.arpa"
    make_ngram(load_config(exp / "config.yaml"), Tokenizer.load(exp / "tokenizer"), NGramOptions(order=2), path)
    lm = [f"search.scorers.bi.{option}" for option in ("name=ngram", f"path={path}", "scale=0.5")]
    (folder,) = decode(exp, ["test"], ["search.name=ctc_prefix_beam", "search.nbest=3", *lm], "cpu")
    for row in map(json.loads, (folder / "hyps.jsonl").read_text().splitlines()):
        assert len(row["nbest"]) == 3
        for each in row["nbest"]:
            assert each["score"] == pytest.approx(each["scores"]["ctc"] + 0.5 * each["scores"]["bi"], abs=2e-4)


def test_the_channel_that_was_heard_is_told(trained, tmp_path):
    exp, wav = shutil.copytree(trained, tmp_path / "exp"), tiny.waveform(["low"], np.random.default_rng(0))
    soundfile.write(tmp_path / "a.wav", np.stack([0 * wav, wav], axis=1), tiny.RATE)
    both = Recording.from_file(tmp_path / "a.wav").to_cut()
    files = [AudioSource("file", [i], str(tmp_path / f"{i}.wav")) for i in (0, 1)]
    for i in (0, 1):
        soundfile.write(tmp_path / f"{i}.wav", i * wav, tiny.RATE)
    apart = Recording("b", files, tiny.RATE, len(wav), len(wav) / tiny.RATE).to_cut()
    cuts = {"left": both.with_channels(0), "right": both.with_channels(1), "both": both, "apart": apart.with_channels(1)}
    for name, cut in cuts.items():
        text = SupervisionSegment(name, cut.recording_id, 0.0, cut.duration, cut.channel, text="low")
        cuts[name] = fastcopy(cut, id=name, supervisions=[text])
    write_cuts(CutSet.from_cuts(cuts.values()), tmp_path / "stereo.jsonl.gz")
    (folder,) = decode(exp, [str(tmp_path / "stereo.jsonl.gz")], (), "cpu")
    rows = {row["id"]: row for row in map(json.loads, (folder / "hyps.jsonl").read_text().splitlines())}
    heard = {name: row["audio"].get("channel") for name, row in rows.items()}
    assert heard == {"left": 0, "right": 1, "both": None, "apart": None}
    assert rows["apart"]["audio"]["path"] == str(tmp_path / "1.wav")
    assert rows["right"]["hyp"] == rows["apart"]["hyp"] == "low"


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
