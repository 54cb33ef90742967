from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from aligning_cases import HOP, TEXT, facts, second_alone, speech, stir

from speechkit.config import validate
from speechkit.models.acoustic import pieces
from speechkit.models.acoustic.base import AcousticModel, Controls, Spoken
from speechkit.models.acoustic.vits import Vits
from speechkit.nn.segments import take_segments

SMALL = {
    "name": "vits",
    **TEXT,
    "latent_dim": 5,
    "n_fft": 16,
    "win_length": 12,
    "posterior_dim": 6,
    "posterior_layers": 2,
    "num_flows": 2,
    "flow_dim": 6,
    "flow_layers": 1,
    "kernel_size": 3,
    "duration_dim": 6,
    "duration_dropout": 0.0,
    "decoder": {"name": "hifigan", "dim": 8, "kernel_sizes": [3], "dilations": [[1]], "num_stages": 2},
    "segment_frames": 9,
}


def model(num_speakers: int = 3, **options) -> Vits:
    config = validate(AcousticModel.registry["vits"].Config, {**SMALL, **options})
    return stir(config.build(facts=facts(num_speakers)))


def test_it_gives_what_it_says():
    learned = model().eval()(speech())
    assert {*learned.nats, "alignment", "segments"} == Vits.gives
    assert learned.segments.wav.shape == (2, 9 * HOP) and learned.segments.num_frames == 9
    assert learned.alignment.durations.sum(1).tolist() == [13, 8]


@pytest.mark.parametrize("duration", ["stochastic", "plain"])
def test_an_utterance_alone_learns_and_speaks_as_in_a_batch(duration, monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    monkeypatch.setattr(pieces, "random_starts", lambda lens, num_frames: torch.zeros_like(lens))
    voice, both = model(duration=duration).eval(), speech()
    alone, found = voice(second_alone(both)), voice(both)
    for name in found.nats:
        torch.testing.assert_close(found.nats[name][1:], alone.nats[name])
    assert torch.equal(found.alignment.durations[1:, :3], alone.alignment.durations)
    torch.testing.assert_close(found.segments.wav[1:], alone.segments.wav)
    quiet = Controls(both.speakers, temperature=0.0, duration_temperature=0.0)
    spoken = voice.synthesize(both.tokens, both.token_lens, quiet)
    single = voice.synthesize(both.tokens[1:, :3], both.token_lens[1:], replace(quiet, speakers=both.speakers[1:]))
    length = single.wav.shape[1]
    assert length == spoken.feat_lens[1] * HOP and torch.equal(spoken.durations.sum(1), spoken.feat_lens)
    torch.testing.assert_close(spoken.wav[1, :length], single.wav[0])
    assert spoken.feats is None and (spoken.wav[1, length:] == 0).all()


def test_the_flow_can_be_undone_and_keeps_volumes():
    voice, cond = model().double().eval(), torch.randn(2, 1, 5, dtype=torch.float64)
    z = torch.randn(2, 7, 5, dtype=torch.float64)
    mapped, log_det = voice.flow(z, None, cond)
    torch.testing.assert_close(voice.flow.inverse(mapped, None, cond), z)
    assert (log_det == 0).all() and (mapped - z).abs().max() > 0.1


def test_the_divergence_is_zero_on_average_where_posterior_and_prior_are_the_same():
    """Neither knows anything: both are the same Gaussian for all frames and tokens, and the flow does nothing."""
    voice, both = model(1, duration="plain").eval(), speech()
    with torch.no_grad():
        for layer in (voice.text.means, voice.text.log_stds, voice.posterior.end):
            layer.weight.zero_()
        voice.text.means.bias.fill_(0.4), voice.text.log_stds.bias.fill_(-0.7)
        voice.posterior.end.bias.copy_(torch.tensor([0.4] * 5 + [-0.7] * 5))
        for coupling in voice.flow.flows[::2]:
            coupling.end.weight.zero_(), coupling.end.bias.zero_()
        draws = torch.stack([voice(both).nats["kl"] for _ in range(60)])
        assert (draws.mean(0).abs() < 4 * draws.std(0) / 60**0.5).all() and draws.std(0).max() < 1
        voice.text.means.bias.fill_(1.4)
        moved = torch.stack([voice(both).nats["kl"] for _ in range(30)]).mean(0)
    torch.testing.assert_close(moved, torch.full((2,), 2.5 * torch.tensor(1.4).exp()), atol=1.5, rtol=0)


@pytest.mark.parametrize("duration", ["stochastic", "plain"])
def test_gradients_reach_every_parameter_but_not_from_the_durations_to_the_text(duration):
    voice = model(duration=duration).train()
    learned = voice(speech())
    learned.nats["duration"].sum().backward(retain_graph=True)
    assert voice.text.embed.weight.grad is None
    (learned.nats["kl"].sum() + learned.segments.wav.square().sum()).backward()
    for name, parameter in voice.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_speed_halves_durations():
    voice, both = model(duration="plain").eval(), speech()
    torch.nn.init.constant_(voice.durations.predictor.out.bias, 2.5)
    slow, fast = (
        voice.synthesize(both.tokens, both.token_lens, Controls(both.speakers, speed=speed)).feat_lens for speed in (1, 2)
    )
    assert slow.min() > 20 and ((slow / 2 - fast).abs() <= 0.5).all()


def test_the_temperatures_are_those_of_the_noise_of_frames_and_of_durations():
    voice, both = model().eval(), speech()

    def say(temperature: float, duration_temperature: float, seed: int) -> Spoken:
        generator = torch.Generator().manual_seed(seed)
        controls = Controls(temperature=temperature, duration_temperature=duration_temperature, generator=generator)
        return voice.synthesize(both.tokens, both.token_lens, controls)

    with torch.no_grad():
        voice.durations.flow.flows[0].shift[0] = -2.0
    assert torch.equal(say(0.0, 0.0, 1).wav, say(0.0, 0.0, 2).wav)
    assert torch.equal(say(1.0, 0.8, 1).wav, say(1.0, 0.8, 1).wav)
    steady = [say(1.0, 0.0, seed) for seed in (1, 2)]
    assert torch.equal(*(each.durations for each in steady)) and not torch.allclose(*(each.wav for each in steady))
    assert len({tuple(say(0.0, 1.0, seed).durations.flatten().tolist()) for seed in range(4)}) > 1


def test_a_decoder_that_makes_one_sample_after_the_other_is_refused():
    with pytest.raises(ValueError, match=r"vits.decoder: expected one of hifigan.*, got 'wavernn'"):
        model(decoder={"name": "wavernn"})


def test_it_learns_two_utterances():
    """A loud one and a soft one, which the latent frames tell apart; divergence, durations and samples are the losses."""
    voice, both = validate(Vits.Config, SMALL).build(facts=facts()).train(), speech()  # one speaker, who tells nothing
    both = replace(both, wav=torch.tensor([[0.8], [0.1]]) + 0.1 * both.wav)
    optimizer = torch.optim.Adam(voice.parameters(), 1e-2)
    seen = []
    for _ in range(70):
        optimizer.zero_grad()
        learned = voice(both)
        starts, count = learned.segments.starts, learned.segments.num_frames
        true = take_segments(both.wav, HOP * starts, HOP * count, HOP * both.feat_lens)
        error = (learned.segments.wav - true).abs().mean()
        losses = torch.stack([learned.nats["kl"].mean(), learned.nats["duration"].mean(), error])
        (losses * torch.tensor([0.1, 1.0, 9.0])).sum().backward()
        optimizer.step()
        seen.append(losses.detach())
    before, after = torch.stack(seen[:5]).mean(0), torch.stack(seen[-10:]).mean(0)
    assert before[2] > 0.3 and after[2] < 0.12, (before, after)  # the best constant has 0.34
    assert after[0] < before[0] + 1.0 and after[1] < before[1] - 0.1, (before, after)
