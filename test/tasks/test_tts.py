from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
import tts_toy
from torch import nn
from tts_toy import state, stop_after

from speechkit.config import ConfigError
from speechkit.data.cuts import open_cuts, write_cuts
from speechkit.data.token_durations import write_token_durations
from speechkit.models.acoustic.base import Controls
from speechkit.tasks.asr import get_tokenizer
from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import average
from speechkit.tasks.training import train
from speechkit.tasks.tts import SpeakerTable, TtsTask
from speechkit.train.stepper import Stepper
from speechkit.utils.lens import padding_mask
from speechkit.utils.model_dir import read_json


def make(conf, overrides=()):
    config = load_config(conf, overrides)
    speakers = SpeakerTable.fit(open_cuts(conf.parent / "data/train.jsonl.gz"))
    task = TtsTask(config, get_tokenizer(config), speakers, torch.device("cpu"))
    task.begin()
    return task


def rows(exp_dir, event):
    return [row for row in map(json.loads, (exp_dir / "train.jsonl").read_text().splitlines()) if row["event"] == event]


def test_training_makes_a_model_directory_and_the_loss_falls(tmp_path):
    exp = tmp_path / "exp"
    assert train(load_config(tts_toy.write_corpus(tmp_path)), exp)
    losses = [row["losses"]["mel"] for row in rows(exp, "step")]
    assert losses[-1] < 0.8 * losses[0]
    (valid,) = rows(exp, "valid")
    assert valid["loss"] == pytest.approx(valid["mel"]) and valid["mel"] > 0
    assert read_json(exp / "speakers.json") == ["s"]
    average(exp)
    assert {"averaged.safetensors", "speakers.json", "tokenizer/tokens.json"} <= read_json(exp / "checksums.json").keys()


@pytest.mark.parametrize("wave", [(), (*tts_toy.WAVE, "model.random_starts=true")])
def test_a_run_resumed_in_the_middle_of_an_epoch_equals_the_straight_one_bit_for_bit(tmp_path, monkeypatch, wave):
    fast = ["trim={margin: 0.02}", "train.max_epochs=2", "train.validate_every=1"]
    config = load_config(tts_toy.write_corpus(tmp_path), [*wave, *fast])
    assert train(config, tmp_path / "straight")
    stop_after(monkeypatch, 6)
    assert not train(config, tmp_path / "stopped")
    monkeypatch.undo()
    assert state(tmp_path / "stopped")["position"] > 0
    assert train(config, tmp_path / "stopped")
    straight, stopped = (state(tmp_path / name) for name in ("straight", "stopped"))
    assert straight["step"] == stopped["step"] > 6
    assert straight["networks"].keys() == ({"model", "discriminator"} if wave else {"model"})
    for network, weights in straight["networks"].items():
        for name, tensor in weights.items():
            assert torch.equal(tensor, stopped["networks"][network][name]), name
    assert rows(tmp_path / "straight", "valid")[-1]["loss"] == rows(tmp_path / "stopped", "valid")[-1]["loss"]


def test_a_model_that_makes_waveforms_and_its_discriminator_take_turns(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path), tts_toy.WAVE)
    batch = next(task.batches().epoch(0, 0))
    turns = dict(task.losses(batch))
    assert list(turns) == ["discriminator", "model"]
    assert turns["model"].keys() == {"mel", "wave.mel", "adversarial", "feature_matching"}
    assert task.weights == {"mel": 1.0, "wave.mel": 45.0, "discriminator": 1.0, "adversarial": 1.0, "feature_matching": 2.0}
    assert all(values.shape == (len(batch),) for losses in turns.values() for values in losses.values())


def test_recordings_are_cut_where_the_model_cut(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path), tts_toy.WAVE)
    batch = next(task.batches().epoch(0, 0))
    segments = task.model(task.speech(batch)).segments
    starts = torch.arange(len(batch)) % 5
    real = task._recorded(batch, dataclasses.replace(segments, starts=starts))
    for row, wav, start in zip(real, batch.wavs, starts.tolist()):
        assert torch.equal(row, wav[48 * start : 48 * (start + 9)])


def test_micro_batches_give_the_step_of_one_batch_for_both_networks(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path), tts_toy.WAVE)
    cuts = list(open_cuts(tmp_path / "data/train.jsonl.gz"))[:5]
    dataset, start = task._dataset(task.frame_data), {n: net.state_dict() for n, net in task.networks.items()}
    start = {name: {key: value.clone() for key, value in each.items()} for name, each in start.items()}
    ends = []
    for groups in ([cuts], [cuts[:2], cuts[2:3], cuts[3:]]):
        for name, network in task.networks.items():
            network.load_state_dict(start[name])
        optimizers = {name: torch.optim.SGD(network.parameters(), lr=0.1) for name, network in task.networks.items()}
        report = Stepper(task, optimizers, 0.0, "float32", torch.device("cpu")).step([dataset[group] for group in groups])
        ends.append({f"{n}.{k}": v.clone() for n, net in task.networks.items() for k, v in net.state_dict().items()})
        assert not report.skipped
    before = {f"{name}.{key}": value for name, each in start.items() for key, value in each.items()}
    moved = {key.split(".")[0] for key, value in ends[0].items() if not torch.equal(value, before[key])}
    assert moved == {"model", "discriminator"}
    for key, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][key], rtol=1e-4, atol=1e-6, msg=key)


def test_the_discriminator_waits_for_its_step(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path), [*tts_toy.WAVE, "adversarial_from_step=3"])
    batch = next(task.batches().epoch(0, 0))
    task.at_step(2)
    assert list(dict(task.losses(batch))) == ["model"] and task.weights == {"mel": 1.0, "wave.mel": 45.0}
    task.at_step(3)
    assert list(dict(task.losses(batch))) == ["discriminator", "model"] and "adversarial" in task.weights


def test_an_objective_counts_from_its_step_and_is_logged_before(tmp_path):
    length = "objectives.length={name: nats, weight: 0.5, from_step: 2}"
    task = make(tts_toy.write_corpus(tmp_path), [length])
    ((_, losses),) = task.losses(next(task.batches().epoch(0, 0)))
    assert losses.keys() == {"mel", "length"} and task.weights == {"mel": 1.0}
    found = task.validate()  # counts all: epochs are to be compared
    assert found["loss"] == pytest.approx(found["mel"] + 0.5 * found["length"])
    task.at_step(2)
    assert task.weights == {"mel": 1.0, "length": 0.5}


def test_validation_disturbs_no_random_numbers_and_repeats(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path), [*tts_toy.WAVE, "model.random_starts=true"])
    with torch.inference_mode():
        before = torch.get_rng_state()
        found = task.validate()
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(3)
        assert task.validate() == found and found.keys() == {"loss", "mel", "wave.mel"} == set(task.metrics)
    assert found["loss"] == pytest.approx(found["mel"] + 45 * found["wave.mel"])


def test_what_is_learned_is_normalised_and_what_is_spoken_is_not(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path))
    batch = next(task.batches().epoch(0, 0))
    raw, lens = task.model.features(batch.wavs, batch.wav_lens)
    learned = task.model(task.speech(batch)).compared["mel"]
    torch.testing.assert_close(learned.target, task.model.cmvn(raw, lens))
    said = task.model.synthesize(batch.tokens, batch.token_lens, Controls(batch.speakers))
    plain = task.model.acoustic.synthesize(batch.tokens, batch.token_lens, Controls(batch.speakers))
    expected = plain.feats[0, 3] / task.model.cmvn.inv_std + task.model.cmvn.mean
    torch.testing.assert_close(said.feats[0, 3], expected)


def test_pitch_and_durations_reach_a_model_that_needs_them(tmp_path):
    conf, path = tts_toy.write_corpus(tmp_path), tmp_path / "durations.jsonl"
    needy = ["model=toy_needy", f"token_durations={path}", "objectives.pitch=mse"]
    cuts = [cut for split in ("train", "dev") for cut in open_cuts(tmp_path / f"data/{split}.jsonl.gz")]
    frames = {cut.id: round(cut.duration * 8000) // 48 for cut in cuts}
    words = {cut.id: len(cut.supervisions[0].text.split()) for cut in cuts}
    write_token_durations([(i, [frames[i] - words[i] + 1] + [1] * (words[i] - 1)) for i in frames], path)
    needy += ["train.max_epochs=1", "pitch={min_f0: 300, max_f0: 2000}"]
    assert train(load_config(conf, needy), tmp_path / "exp")
    facts = read_json(tmp_path / "exp" / "training_data.json")
    assert facts["fingerprints"].keys() == {"train", "token_durations"}
    stored = [np.load(each) for each in tmp_path.glob("data/pitch-autocorrelation-*/*/*.npy")]
    assert len(stored) == 17  # 12 to train on, 5 to validate on
    heard = np.concatenate(stored)
    assert np.mean((abs(heard - 400) < 5) | (abs(heard - 1600) < 5) | (heard == 0)) > 0.9 and heard.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["objectives.stop=bce"], "objectives.stop: expected one of length, mel, which the model gives, got 'stop'"),
        (["objectives.mel.weight=0"], "objectives: expected at least one with a weight above 0 from step 0"),
        (["objectives.mel.from_step=5"], "objectives: expected at least one with a weight above 0 from step 0"),
        (["model=toy_wave"], "discriminator: expected one, for model toy_wave makes waveforms"),
        (["discriminator=combined"], "discriminator: expected null, for model toy_voice is not trained against one"),
        ([*tts_toy.WAVE, "vocoder=exp/hifigan"], "vocoder: expected none, for model toy_wave makes waveforms, got exp/hifi"),
        (["cmvn=utterance"], "cmvn: expected global or none, which synthesis can undo, got utterance"),
        (["data.augment.speed={}"], "data.augment: expected nothing, got speed"),
        (["data.features=precomputed"], "data.features: expected on_the_fly"),
        (["objectives.loss=guided_attention"], "objectives.loss: expected a name that nothing else in the log has"),
        ([*tts_toy.WAVE, "wave_losses={mel: null}", "adversarial_from_step=5"], "adversarial_from_step: expected 0"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_its_key(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_config(tts_toy.write_corpus(tmp_path), changes)


def test_a_model_without_the_durations_that_it_needs_is_refused_before_training(tmp_path):
    config = load_config(tts_toy.write_corpus(tmp_path), ["model=toy_needy"])
    with pytest.raises(ValueError, match="token_durations: expected a file, for model toy_needy learns from durations"):
        train(config, tmp_path / "exp")


def test_a_model_may_look_at_normalised_features_before_training(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path))
    seen = []
    task.model.acoustic.fit = lambda speeches: seen.extend(each.feats[~padding_mask(each.feat_lens)] for each in speeches)
    task.begin()
    torch.testing.assert_close(torch.cat(seen).mean(0), torch.zeros(11), atol=1e-3, rtol=0)


ENCODER = "{name: fft, dim: 12, num_layers: 1, num_heads: 3, ff_dim: 14, kernel_sizes: [3, 1]}"
VARIED = f"durations: aligner, embed_dim: 10, encoder: {ENCODER}, decoder: {ENCODER}, duration: {{dim: 7}}"
HIFIGAN = "{name: hifigan, dim: 16, kernel_sizes: [3], dilations: [[1]]}"
ALIGNED = "log_duration: mse, pitch: mse, energy: mse, align: forward_sum, sharp: {name: binarization, from_step: 1}"
VOICES = {
    "fastspeech2": [f"model={{name: fastspeech2, {VARIED}}}", f"objectives={{mel: l1, mel_before: null, {ALIGNED}}}"],
    "jets": [
        f"model={{name: jets, segment_frames: 7, vocoder: {HIFIGAN}, {VARIED}}}",
        f"objectives={{mel: null, {ALIGNED}}}",
        *tts_toy.WAVE[1:],
    ],
}


@pytest.mark.parametrize("voice", VOICES)
def test_real_voices_train(tmp_path, voice):
    config = load_config(tts_toy.write_corpus(tmp_path), [*VOICES[voice], "train.max_steps=2", "pitch.min_f0=300"])
    assert train(config, tmp_path / "exp")
    first, second = rows(tmp_path / "exp", "step")
    assert set(config.objectives) <= first["losses"].keys() and second["loss"] > 0
    assert rows(tmp_path / "exp", "valid")[0]["loss"] > 0


def test_training_goes_on_with_another_vocoder_since_it_does_not_look_at_it(tmp_path):
    conf, short = tts_toy.write_corpus(tmp_path), "train.max_epochs=1"
    assert train(load_config(conf, [short]), tmp_path / "exp")
    assert train(load_config(conf, [short, "vocoder=elsewhere"]), tmp_path / "exp")
    with pytest.raises(ValueError, match="another config.*\n *trim: None"):
        train(load_config(conf, [short, "trim={}"]), tmp_path / "exp")


def test_a_loss_of_another_sort_than_what_it_judges_is_refused(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path), ["objectives.length=l1"])
    with pytest.raises(
        ValueError, match=r"objectives\.length\.name: l1 judges what is in `compared`, where the model gives mel"
    ):
        next(task.losses(next(task.batches().epoch(0, 0))))


def test_a_speaker_that_training_has_not_heard_names_the_cut(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path))
    cuts = list(open_cuts(tmp_path / "data/dev.jsonl.gz"))
    cuts[2].supervisions[0].speaker = "stranger"
    write_cuts(cuts, tmp_path / "data/dev.jsonl.gz")
    with pytest.raises(ValueError, match=r"cut dev-2: expected a speaker of the training data \(s\), got 'stranger'"):
        task.validate()


def test_energies_are_those_of_the_spectra(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path), tts_toy.WAVE)
    batch = next(task.batches().epoch(0, 0))
    speech = task.speech(batch)
    assert speech.energy.shape == speech.feats.shape[:2] and speech.wav.shape[1] >= 48 * speech.feats.shape[1]
    # torch.stft of what the framing sees: 40 mirrored samples before the first.
    wav = nn.functional.pad(batch.wavs[:1, : batch.wav_lens[0]].unsqueeze(1), (40, 88), mode="reflect")[0]
    spectra = torch.stft(wav, 128, 48, window=torch.hann_window(128), center=False, return_complex=True)
    expected = spectra.abs().square().sum(1).sqrt()[0]
    length = speech.feat_lens[0]
    torch.testing.assert_close(speech.energy[0, :length], expected[:length], rtol=1e-4, atol=1e-5)
