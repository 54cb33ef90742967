from __future__ import annotations

import pytest
import torch
from aligning_cases import FEATS, TEXT, facts, second_alone, speech, stir

from speechkit.config import ConfigError, validate
from speechkit.models.acoustic.base import AcousticModel, Controls, Speech
from speechkit.models.acoustic.glow_tts import GlowTts, fill_groups
from speechkit.utils.utterances import UtteranceError

SMALL = {
    "name": "glow_tts",
    **TEXT,
    "prenet_layers": 1,
    "num_flows": 2,
    "flow_dim": 6,
    "flow_layers": 2,
    "flow_kernel_size": 3,
    "flow_dropout": 0.0,
    "duration_dim": 7,
    "duration_dropout": 0.0,
}


def model(num_speakers: int = 3, **options) -> GlowTts:
    config = validate(AcousticModel.registry["glow_tts"].Config, {**SMALL, **options})
    return stir(config.build(facts=facts(num_speakers)))


def test_it_gives_what_it_says():
    learned = model().eval()(speech())
    assert {*learned.compared, *learned.nats, "alignment"} == GlowTts.gives
    assert learned.alignment.durations.sum(1).tolist() == [12, 8]  # a frame of 13 fills no pair
    assert torch.equal(learned.alignment.weights.sum(1).long(), learned.alignment.durations)
    assert torch.equal(learned.compared["log_duration"].target[0], learned.alignment.durations[0].float().log())


@pytest.mark.parametrize("mean_only", [False, True])
def test_an_utterance_alone_learns_and_speaks_as_in_a_batch(mean_only):
    voice, both = model(mean_only=mean_only).eval(), speech()
    alone, found = voice(second_alone(both)), voice(both)
    torch.testing.assert_close(found.nats["likelihood"][1:], alone.nats["likelihood"])
    torch.testing.assert_close(found.compared["log_duration"].predicted[1:, :3], alone.compared["log_duration"].predicted)
    assert torch.equal(found.alignment.durations[1:, :3], alone.alignment.durations)
    quiet = Controls(both.speakers, temperature=0.0)
    spoken = voice.synthesize(both.tokens, both.token_lens, quiet)
    single = voice.synthesize(both.tokens[1:, :3], both.token_lens[1:], Controls(both.speakers[1:], temperature=0.0))
    length = int(single.feat_lens)
    assert length == spoken.feat_lens[1] and torch.equal(spoken.durations.sum(1), spoken.feat_lens)
    torch.testing.assert_close(spoken.feats[1, :length], single.feats[0])
    assert (spoken.feats[1, length:] == 0).all()


@pytest.mark.parametrize(("per", "divisor"), [("utterance", 1), ("frame", 12), ("value", 12 * FEATS)])
def test_the_likelihood_is_that_of_the_gaussian_seen_through_the_flow(per, divisor):
    """By autograd's Jacobian and torch's normal distribution, in double precision."""
    voice, both = model(1, likelihood_per=per, mean_only=False).double().eval(), speech()
    feats = both.feats[:1, :12].double()
    given = Speech(both.tokens[:1], both.token_lens[:1], feats, torch.tensor([12]), both.speakers[:1])
    learned, prior = voice(given), voice.text(given.tokens, given.token_lens)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: voice.decoder(x.view(1, 12, FEATS), given.feat_lens)[0].flatten(), feats.flatten()
    )
    z = voice.decoder(feats, given.feat_lens)[0][0]
    tokens = torch.arange(5).repeat_interleave(learned.alignment.durations[0])
    normal = torch.distributions.Normal(prior.means[0, tokens], prior.log_stds[0, tokens].exp())
    expected = -normal.log_prob(z).sum() - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(learned.nats["likelihood"][0], expected / divisor)


def test_gradients_reach_every_parameter_but_not_from_the_durations_to_the_encoder():
    voice = model(mean_only=False).train()
    learned = voice(speech())
    pair = learned.compared["log_duration"]
    duration = (pair.predicted - pair.target).square().sum()
    duration.backward(retain_graph=True)
    assert voice.text.embed.weight.grad is None and voice.durations.out.weight.grad.abs().sum() > 0
    learned.nats["likelihood"].sum().backward()
    for name, parameter in voice.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_speed_halves_durations():
    voice, both = model().eval(), speech()
    torch.nn.init.constant_(voice.durations.out.bias, 2.5)
    slow, fast = (
        voice.synthesize(both.tokens, both.token_lens, Controls(both.speakers, speed=speed)).feat_lens for speed in (1, 2)
    )
    assert slow.min() > 20 and ((slow / 2 - fast).abs() <= 2).all()  # whole frames, whole pairs of them


def test_the_temperature_is_that_of_the_noise():
    voice, both = model().eval(), speech()

    def say(temperature: float) -> torch.Tensor:
        controls = Controls(both.speakers, temperature=temperature, generator=torch.Generator().manual_seed(1))
        return voice.synthesize(both.tokens, both.token_lens, controls).feats

    assert torch.equal(say(1.0), say(1.0)) and torch.equal(say(0.0), say(0.0)) and not torch.allclose(say(1.0), say(0.5))


def test_the_last_token_lasts_until_the_last_group_is_full():
    durations = fill_groups(torch.tensor([[2, 2, 1], [3, 0, 0], [3, 3, 0]]), torch.tensor([3, 1, 2]), 3)
    assert durations.tolist() == [[2, 2, 2], [3, 0, 0], [3, 3, 0]]


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="flow_kernel_size: expected an odd number, got 4"):
        model(flow_kernel_size=4)
    short = speech()
    with pytest.raises(UtteranceError, match="got 3 tokens and 2 frames"):
        model().eval()(Speech(short.tokens, short.token_lens, short.feats, torch.tensor([13, 3]), short.speakers))


def toy(sound: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, Speech]:
    """Durations, and utterances in which each token is a vector of its own for a duration of its own, under some noise."""
    tokens = torch.stack([torch.randperm(10)[:6] + 1 for _ in range(12)])
    durations = length[tokens]
    durations[:, -1] += durations.sum(1) % 2
    frames = [sound[each.repeat_interleave(lasts)] for each, lasts in zip(tokens, durations)]
    feats = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
    feats = feats + 0.1 * torch.randn_like(feats)
    return durations, Speech(tokens, torch.full((12,), 6), feats, durations.sum(1), torch.zeros(12, dtype=torch.long))


def test_it_finds_known_durations_and_speaks_as_it_has_learned():
    torch.manual_seed(2)  # from some beginnings the search keeps to another alignment
    sound, length = torch.randn(11, FEATS), torch.randint(1, 6, (11,))
    voice = validate(GlowTts.Config, {**SMALL, "prenet_layers": 0}).build(facts=facts()).train()
    optimizer = torch.optim.Adam(voice.parameters(), 2e-2)
    for _ in range(120):
        optimizer.zero_grad()
        learned = voice(toy(sound, length)[1])
        pair = learned.compared["log_duration"]
        (learned.nats["likelihood"].mean() + (pair.predicted - pair.target).square().mean()).backward()
        optimizer.step()
    durations, new = toy(sound, length)
    learned = voice.eval()(new)
    assert torch.equal(learned.alignment.durations, durations)
    assert learned.nats["likelihood"].mean() < -0.5  # per value; the noise of 0.1 alone has ln(0.1) + 1.42 = -0.88
    spoken = voice.synthesize(new.tokens, new.token_lens, Controls(temperature=0.0))
    assert (spoken.durations - durations)[:, :-1].abs().float().mean() < 0.3  # the last ones fill groups
    frame = voice.synthesize(new.tokens[:1, :1], torch.tensor([1]), Controls(temperature=0.0)).feats[0, 0]
    assert (frame - sound[new.tokens[0, 0]]).square().mean() < 0.2
