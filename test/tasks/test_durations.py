from __future__ import annotations

import json

import numpy as np
import pytest
import tiny
import torch
import tts_toy

from speechkit.cli.main import main
from speechkit.data.cuts import open_cuts, write_cuts
from speechkit.data.token_durations import read_token_durations
from speechkit.models.acoustic.base import Alignment, Learned, Speech
from speechkit.nn.length_regulator import frame_tokens
from speechkit.tasks.base import load_config
from speechkit.tasks.durations import find_durations, frames_of_alignment
from speechkit.tasks.evaluate import average
from speechkit.tasks.training import train
from speechkit.utils.files import sha256

SHIFT = 48 / 8000  # seconds, of the features of tts_toy


class ToyAligned(tts_toy.ToyVoice, name="toy_aligned"):
    """Tells an alignment: each token but the last has 7 frames."""

    gives = frozenset({"mel", "alignment"})

    def forward(self, speech: Speech) -> Learned:
        durations = torch.full_like(speech.tokens, 7)
        durations = durations.scatter(1, (speech.token_lens - 1).unsqueeze(1), 0)
        return Learned(super().forward(speech).compared, alignment=_hard(durations, speech.token_lens, speech.feat_lens))


def _hard(durations, token_lens, frame_lens):
    rest = frame_lens - torch.stack([row[:n].sum() for row, n in zip(durations, token_lens)])
    durations = durations.scatter_add(1, (token_lens - 1).unsqueeze(1), rest.unsqueeze(1))
    places, _ = frame_tokens(durations, token_lens, int(frame_lens.max()))
    return Alignment(torch.nn.functional.one_hot(places, durations.shape[1]).float(), frame_lens, token_lens)


def finished(folder, *overrides):
    """A voice, trained for a moment, and its config."""
    conf = tts_toy.write_corpus(folder)
    assert train(load_config(conf, ["train.max_epochs=1", *overrides]), folder / "exp")
    average(folder / "exp")
    return folder / "exp", conf


def words_of(folder):
    cuts = [cut for split in ("train", "dev") for cut in open_cuts(folder / f"data/{split}.jsonl.gz")]
    return {cut.id: (len(cut.supervisions[0].text.split()), round(cut.duration * 8000) // 48) for cut in cuts}


def test_a_recogniser_says_when_words_begin(trained, tmp_path):
    conf = tts_toy.write_corpus(tmp_path)
    found = dict(find_durations(trained, load_config(conf)))
    facts = words_of(tmp_path)
    assert found.keys() == facts.keys()
    for cut_id, frames in found.items():
        words, num_frames = facts[cut_id]
        assert frames.sum() == num_frames and len(frames) == words
        begins = np.cumsum(frames)[:-1] * SHIFT
        gaps = [tiny.GAP / 2 + i * (tiny.WORD + tiny.GAP) for i in range(1, words)]  # middles of the silence between words
        assert np.abs(begins - gaps).max(initial=0) < 0.12


def test_silence_that_is_cut_off_is_no_part_of_the_durations(trained, tmp_path):
    conf = tts_toy.write_corpus(tmp_path)
    whole = dict(find_durations(trained, load_config(conf)))
    cut = dict(find_durations(trained, load_config(conf, ["trim={margin: 0.02}"])))
    shorter = [whole[i].sum() - cut[i].sum() for i in whole]
    assert min(shorter) >= 15  # of 0.15 s, at least, 0.04 s stay


def test_a_voice_tells_its_alignment(tmp_path):
    exp, conf = finished(tmp_path, "model=toy_aligned")
    found = dict(find_durations(exp, load_config(conf)))
    assert found.keys() == words_of(tmp_path).keys()
    for cut_id, (words, num_frames) in words_of(tmp_path).items():
        assert found[cut_id].tolist() == [7] * (words - 1) + [num_frames - 7 * (words - 1)]


def test_attention_of_several_frames_a_step_adds_up_to_the_frames():
    weights = torch.zeros(2, 5, 3)
    for step, token in enumerate((0, 0, 1, 2, 2)):
        weights[0, step, token] = 1
    weights[1, torch.arange(3), torch.tensor([0, 0, 1])] = 1
    found = Alignment(weights, torch.tensor([5, 3]), torch.tensor([3, 2]))
    frames, reasons = frames_of_alignment(found, torch.tensor([9, 6]))  # two frames a step, of which the last has one
    assert frames.tolist() == [[4, 2, 3], [4, 2, 0]] and reasons == ["", ""]


def test_attention_that_jumps_says_nothing_and_why():
    weights = torch.zeros(1, 6, 4)
    weights[0, torch.arange(6), torch.tensor([0, 3, 0, 2, 0, 1])] = 1
    frames, reasons = frames_of_alignment(Alignment(weights, torch.tensor([6]), torch.tensor([4])), torch.tensor([6]))
    assert reasons[0].startswith("expected attention that stays or goes on by one token in at least 80% of its steps, got")


def test_durations_of_an_aligner_are_taken_and_filled_up():
    durations = torch.tensor([[2, 3, 4], [5, 1, 0]])
    found = Alignment(torch.zeros(2, 9, 3), torch.tensor([9, 6]), torch.tensor([3, 2]), durations=durations)
    frames, reasons = frames_of_alignment(found, torch.tensor([10, 6]))  # a frame that did not fill a group
    assert frames.tolist() == [[2, 3, 5], [5, 1, 0]] and reasons == ["", ""]


def test_what_cannot_be_aligned_is_named_counted_and_not_learned(trained, tmp_path, capsys):
    conf = tts_toy.write_corpus(tmp_path)
    cuts = list(open_cuts(tmp_path / "data/train.jsonl.gz"))
    cuts[2].supervisions[0].text = "low " * 60
    write_cuts(cuts, tmp_path / "data/train.jsonl.gz")
    target = tmp_path / "durations.jsonl"
    assert main(["durations", str(trained), str(conf), "--to", str(target)]) == 0
    out, err = capsys.readouterr()
    assert f"speechkit durations: error: cut {cuts[2].id}: alignment: expected a path for its 60 tokens" in err
    assert out == f"{target}: 16 utterances aligned; 1 could not be and are left out\n"
    assert len(read_token_durations(target)) == 16 and cuts[2].id not in read_token_durations(target)
    needy = ["model=toy_needy", f"token_durations={target}", "objectives.pitch=mse", "train.max_epochs=1"]
    assert train(load_config(conf, [*needy, "pitch={min_f0: 300, max_f0: 2000}"]), tmp_path / "exp")
    assert f"train: 1 of 12 utterances have no durations and are left out: {cuts[2].id}" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "exp/train.jsonl").read_text().splitlines()]
    assert lines


def test_durations_of_other_utterances_are_refused(tmp_path):
    conf, target = tts_toy.write_corpus(tmp_path), tmp_path / "durations.jsonl"
    target.write_text('{"id": "somebody", "durations": [3]}\n')
    config = load_config(conf, ["model=toy_needy", f"token_durations={target}"])
    with pytest.raises(ValueError, match=r"durations.jsonl: expected durations of train, got none of these"):
        train(config, tmp_path / "exp")


def test_a_voice_that_does_not_align_and_one_of_other_features_or_tokens_are_refused(tmp_path):
    exp, conf = finished(tmp_path)
    sums = sha256(exp / "averaged.safetensors")
    with pytest.raises(ValueError, match="expected a voice that aligns by itself, got toy_voice, which does not"):
        list(find_durations(exp, load_config(conf)))
    with pytest.raises(ValueError, match="featurizer: expected"):
        list(find_durations(exp, load_config(conf, ["featurizer.hop_length=40"])))
    exp, conf = finished(tmp_path / "other", "model=toy_aligned")
    with pytest.raises(ValueError, match="expected a model of the same tokens, got one without"):
        list(find_durations(exp, load_config(conf, ["tokenizer=char"])))
    assert sha256(tmp_path / "exp/averaged.safetensors") == sums


def test_a_recogniser_of_other_tokens_aligns_nothing(trained, tmp_path, capsys):
    conf = tts_toy.write_corpus(tmp_path)
    assert main(["durations", str(trained), str(conf), "tokenizer=char", "--to", str(tmp_path / "d.jsonl")]) == 1
    err = capsys.readouterr().err
    assert "expected the recogniser to have the voice's tokens, " in err
    assert "speechkit durations: error: none of 17 utterances could be aligned" in err
    assert not (tmp_path / "d.jsonl").exists()
    assert main(["durations", str(trained), str(conf)]) == 1
    assert "--to: expected a file, got none, and token_durations of the config is null" in capsys.readouterr().err
