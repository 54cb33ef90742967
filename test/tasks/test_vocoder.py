from __future__ import annotations

import json

import pytest
import torch
import tts_toy
from tts_toy import state, stop_after

from speechkit.config import ConfigError
from speechkit.data.cuts import open_cuts
from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import average
from speechkit.tasks.training import train
from speechkit.tasks.vocoder import VocoderTask
from speechkit.train.stepper import Stepper

SILENT = ["discriminator=null"]
WAVENET = ["vocoder={name: wavenet, dim: 4, skip_dim: 5, num_cycles: 1, cycle_length: 3, cond_dim: 6, bits: 4}", *SILENT]
WAVEGLOW = ["vocoder={name: waveglow, num_flows: 4, early_every: 2, dim: 4, num_layers: 2}", *SILENT]
FAMILIES = {"hifigan": [], "wavenet": WAVENET, "waveglow": WAVEGLOW}


def make(conf, overrides=()):
    return VocoderTask(load_config(conf, overrides), torch.device("cpu"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_resumes_bit_for_bit_and_is_validated(tmp_path, monkeypatch, family):
    config = load_config(tts_toy.write_corpus(tmp_path, tts_toy.VOCODER), FAMILIES[family])
    assert train(config, tmp_path / "straight")
    stop_after(monkeypatch, 3)
    assert not train(config, tmp_path / "stopped")
    monkeypatch.undo()
    assert train(config, tmp_path / "stopped")
    straight, stopped = (state(tmp_path / name) for name in ("straight", "stopped"))
    assert straight["step"] == stopped["step"] == 4
    for network, weights in straight["networks"].items():
        for name, tensor in weights.items():
            assert torch.equal(tensor, stopped["networks"][network][name]), name
    assert straight["metrics"].keys() == {"loss", "mel_distance"} and straight["metrics"] == stopped["metrics"]
    assert straight["metrics"]["mel_distance"] > 0
    average(tmp_path / "straight")
    events = [json.loads(line) for line in (tmp_path / "straight/train.jsonl").read_text().splitlines()]
    steps = [row for row in events if row["event"] == "step"]
    assert all(row["audio_seconds"] == pytest.approx(row["utterances"] * 480 / 8000, abs=1e-3) for row in steps)


def test_pieces_have_the_features_that_they_have_in_the_whole_recording(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path, tts_toy.VOCODER), ["data.cache_audio=false"])
    cuts = {cut.id: cut for cut in open_cuts(tmp_path / "data/train.jsonl.gz")}
    places = set()
    for epoch in range(3):
        for batch in task.batches().epoch(epoch, 0):
            feats, wav = task.pieces(batch)
            assert feats.shape == (len(batch), 10, 11) and wav.shape == (len(batch), 480)
            for cut_id, piece, samples in zip(batch.ids, feats, wav):
                whole = torch.from_numpy(cuts[cut_id].load_audio())
                found = [t for t in range(whole.shape[1] // 48 - 9) if torch.equal(whole[0, 48 * t : 48 * t + 480], samples)]
                expected, _ = task.featurizer(whole, torch.tensor([whole.shape[1]]))
                torch.testing.assert_close(piece, expected[0, found[0] : found[0] + 10], rtol=1e-5, atol=1e-5)
                places.add((cut_id, found[0]))
    assert len(places) > 30  # of 12 recordings, in three epochs


def test_micro_batches_give_the_step_of_one_batch_for_both_networks(tmp_path):
    task = make(tts_toy.write_corpus(tmp_path, tts_toy.VOCODER))
    cuts = next(iter(task.batches().sampler.batches(0)))
    dataset = task._dataset()
    start = {n: {k: v.clone() for k, v in net.state_dict().items()} for n, net in task.networks.items()}
    ends = []
    for groups in ([cuts], [cuts[:2], cuts[2:3], cuts[3:]]):
        for name, network in task.networks.items():
            network.load_state_dict(start[name])
        optimizers = {name: torch.optim.SGD(network.parameters(), lr=0.01) for name, network in task.networks.items()}
        Stepper(task, optimizers, 0.0, "float32", torch.device("cpu")).step([dataset[group] for group in groups])
        ends.append({f"{n}.{k}": v.clone() for n, net in task.networks.items() for k, v in net.state_dict().items()})
    for key, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][key], rtol=1e-4, atol=1e-5, msg=key)


def test_a_flow_is_trained_for_the_noise_that_it_is_told(tmp_path):
    conf = tts_toy.write_corpus(tmp_path, tts_toy.VOCODER)
    values = []
    for sigma in (1.0, 0.5):
        task = make(conf, [*WAVEGLOW, f"flow_sigma={sigma}"])
        ((name, losses),) = task.losses(next(task.batches().epoch(0, 0)))
        assert name == "model" and losses.keys() == {"nats"} and task.weights["nats"] == 1.0
        values.append(losses["nats"])
    assert not torch.allclose(*values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (SILENT, "discriminator: expected one, for vocoder hifigan makes waveforms"),
        (WAVENET[:1], "discriminator: expected null, for vocoder wavenet is not trained against one"),
        (["data.augment.noise={}"], "data.augment: expected nothing, got noise"),
        (["vocoder.dim=0"], "vocoder.dim: "),
    ],
)
def test_what_cannot_be_trained_is_refused_by_its_key(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_config(tts_toy.write_corpus(tmp_path, tts_toy.VOCODER), changes)


@pytest.mark.parametrize(
    ("featurizer", "message"),
    [
        ("{name: whisper, sampling_rate: 8000, num_mel_bins: 20}", "featurizer.name: expected features of pieces"),
        (
            "{name: fbank, sampling_rate: 8000, num_mel_bins: 23, snip_edges: true}",
            "featurizer.name: expected frames around",
        ),
    ],
)
def test_features_of_other_frames_than_a_vocoder_speaks_are_refused(tmp_path, featurizer, message):
    with pytest.raises(ValueError, match=message):
        make(tts_toy.write_corpus(tmp_path, tts_toy.VOCODER), [f"featurizer={featurizer}"])
