from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
import tts_toy

from speechkit.config import ConfigError
from speechkit.data.cuts import open_cuts, write_cuts
from speechkit.models.vocoder import griffin_lim
from speechkit.tasks.speak import speak
from speechkit.tasks.synthesizer import Synthesizer
from speechkit.utils.model_dir import read_json

HOP, RATE = 48, 8000


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """A Griffin-Lim that does next to nothing."""
    full = griffin_lim.griffin_lim
    monkeypatch.setattr(griffin_lim, "griffin_lim", lambda magnitudes, stft, start, *_: full(magnitudes, stft, start, 1))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A voice that learned with a trimmed corpus, in the folder of its corpus."""
    folder = tmp_path_factory.mktemp("voice")
    tts_toy.finish(folder, overrides=("trim={margin: 0.01}", "data.test=[dev]", "model=toy_noisy"))
    return folder


@pytest.fixture
def exp(finished, tmp_path):
    shutil.copytree(finished / "exp", tmp_path / "exp")
    return tmp_path / "exp"


def rows(folder):
    return [json.loads(line) for line in (folder / "utterances.jsonl").read_text().splitlines()]


def test_a_set_is_spoken_with_all_that_scoring_and_listening_need(exp, finished):
    (folder,) = speak(exp, device="cpu")
    assert folder == exp / "synthesis" / "dev"
    found, cuts = rows(folder), {cut.id: cut for cut in open_cuts(finished / "data/dev.jsonl.gz")}
    assert [row["id"] for row in found] == sorted(cuts)
    for row in found:
        text = cuts[row["id"]].supervisions[0].text
        assert row["text"] == text and row["tokens"] == text.split() and row["speaker"] == "s"
        assert row["token_frames"] == [6] * len(row["tokens"]) and row["frame_shift"] == HOP / RATE
        samples, rate = soundfile.read(folder / row["wav"])
        assert row["wav"] == f"synthesised/{row['id']}.wav" and rate == RATE
        assert len(samples) == 6 * HOP * len(row["tokens"]) == round(row["duration"] * RATE)
        assert row["seconds"] > 0 and row["finished"] and row["pitch"] == [100.0] * 6 * len(row["tokens"])
        assert row["alignment"] is None and not (folder / "alignments").exists()
        cut = cuts[row["id"]]
        assert row["natural"] == {"path": cut.recording.sources[0].source, "start": 0.0, "duration": cut.duration}
        vocoded, _ = soundfile.read(folder / row["vocoded"])
        assert abs(len(vocoded) / RATE - (cut.duration - 2 * 0.14)) < 0.02  # 150 ms of silence at each end, but for 10
    facts = read_json(folder / "synthesis.json")
    assert facts["utterances"] == len(found) and facts["audio_seconds"] == pytest.approx(sum(r["duration"] for r in found))
    assert facts["rtf"] == pytest.approx(facts["seconds"] / facts["audio_seconds"]) and facts["set"] == "dev"
    assert facts["threads"] == torch.get_num_threads() and facts["device"] == "cpu" and facts["unfinished"] == 0
    assert facts["model"] == "toy_noisy" and facts["vocoder"] == "griffin_lim" and facts["vocoder_parameters"] == 0
    assert facts["parameters"] == sum(p.numel() for p in Synthesizer.load(exp).model.parameters())


def test_an_utterance_sounds_the_same_in_any_set_and_other_seeds_sound_otherwise(exp, tmp_path, finished):
    cuts = sorted(open_cuts(finished / "data/dev.jsonl.gz"), key=lambda cut: cut.id)
    write_cuts(cuts[2:], tmp_path / "few.jsonl")
    few, whole = speak(exp, [str(tmp_path / "few.jsonl"), "dev"], device="cpu")
    name = rows(few)[0]["wav"]
    assert few.name == "few" and (few / name).read_bytes() == (whole / name).read_bytes()
    (other,) = speak(exp, [str(tmp_path / "few.jsonl")], device="cpu", seed=1)
    samples = [soundfile.read(folder / name)[0] for folder in (whole, other)]
    assert not np.array_equal(*samples)


def test_a_set_is_there_when_it_is_complete_and_the_old_one_until_then(exp, monkeypatch):
    (folder,) = speak(exp, device="cpu")
    (folder / "scores.json").write_text("{}")
    vocode = Synthesizer.vocode
    monkeypatch.setattr(Synthesizer, "vocode", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        speak(exp, device="cpu")
    assert (folder / "scores.json").exists() and [each.name for each in folder.parent.iterdir()] == ["dev"]
    monkeypatch.setattr(Synthesizer, "vocode", vocode)
    speak(exp, device="cpu")
    assert not (folder / "scores.json").exists() and [each.name for each in folder.parent.iterdir()] == ["dev"]


def test_ids_that_are_no_file_names_are_spelled_otherwise(exp, tmp_path, finished):
    cut = next(iter(open_cuts(finished / "data/dev.jsonl.gz"))).with_id("a/b?1 x")
    write_cuts([cut], tmp_path / "odd.jsonl")
    (folder,) = speak(exp, [str(tmp_path / "odd.jsonl")], device="cpu")
    (row,) = rows(folder)
    assert row["id"] == "a/b?1 x" and row["wav"] == "synthesised/a%2Fb%3F1 x.wav" and (folder / row["wav"]).exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("text", "low loud", "cut odd: word tokenizer: 'loud' in 'low loud' is outside"),
        ("text", " ", "cut odd: expected a transcript to say, got ' ' without tokens"),
        ("speaker", "t", r"cut odd: expected a speaker of the training data \(s\), got 't'"),
    ],
)
def test_what_cannot_be_spoken_is_named_before_anything_is(exp, tmp_path, finished, field, value, message):
    cut = next(iter(open_cuts(finished / "data/dev.jsonl.gz"))).with_id("odd")
    setattr(cut.supervisions[0], field, value)
    write_cuts([cut], tmp_path / "odd.jsonl")
    with pytest.raises(ValueError, match=message):
        speak(exp, ["dev", str(tmp_path / "odd.jsonl")], device="cpu")
    assert not (exp / "synthesis").exists()


def test_another_vocoder_can_be_asked_for_and_nothing_that_training_has_fixed(exp, tmp_path):
    vocoder = tts_toy.finish(tmp_path / "v", tts_toy.VOCODER)
    (folder,) = speak(exp, overrides=[f"vocoder={vocoder}", f"train.num_threads={torch.get_num_threads()}"], device="cpu")
    facts = read_json(folder / "synthesis.json")
    assert facts["vocoder"] == str(vocoder) and facts["vocoder_parameters"] > 1000
    with pytest.raises(ConfigError, match="model=toy_voice: synthesis can change vocoder, data"):
        speak(exp, overrides=["model=toy_voice"])
