"""What holds of speakers and styles for every acoustic model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from condition_cases import KINDS, MODELS, build, same, say
from feed_forward_cases import F_BINS, FACTS, speech
from torch.nn import functional as F

from speechkit.config import ConfigError, dump, validate
from speechkit.models.acoustic.base import AcousticModel
from speechkit.models.acoustic.condition import TOLD, Condition, Conditions, Told
from speechkit.models.acoustic.fastspeech import FastSpeech

every_model = pytest.mark.parametrize("name", sorted(MODELS))
by_recording = pytest.mark.parametrize("kind", ["reference", "style_tokens"])
D, SPEAKERS = 6, 3


def conditions(*kinds: str, num_speakers: int = SPEAKERS) -> Conditions:
    torch.manual_seed(1)
    configs = [validate(Condition.registry[kind].Config, KINDS[kind]) for kind in kinds]
    return Conditions(configs, F_BINS, num_speakers, D)


def recordings(number: int = 1, frames: int = 17, seed: int = 0) -> dict:
    """Controls."""
    feats = torch.randn(number, frames, F_BINS, generator=torch.Generator().manual_seed(seed))
    return {"reference": feats, "reference_lens": torch.full((number,), frames)}


def test_every_model_and_every_condition_is_tested_here():
    ours = {name for name, cls in AcousticModel.registry.items() if cls.__module__.startswith("speechkit.")}
    assert ours == set(MODELS) and set(KINDS) == set(Condition.registry)


@every_model
def test_speakers_of_a_table_differ_and_the_first_speaks_if_nobody_is_named(name):
    model = build(name, "embedding")
    nobody, first, third = (say(model, **who) for who in ({}, *({"speakers": torch.tensor([i])} for i in (0, 2))))
    assert same(nobody, first) and not same(nobody, third)
    assert model.controls & TOLD == {"speakers"}


@every_model
@by_recording
def test_a_recording_is_heard_and_its_padding_is_not(name, kind):
    model, one, other = build(name, kind), recordings(), recordings(seed=1)
    assert not same(say(model, **one), say(model, **other))
    padded = F.pad(one["reference"], (0, 0, 0, 8), value=1e3)
    assert same(say(model, **one), say(model, reference=padded, reference_lens=one["reference_lens"]))
    assert model.controls & TOLD == Condition.registry[kind].controls <= type(model).controls


@every_model
def test_gradients_reach_the_conditions_and_what_is_usual_is_learned(name):
    model, batch = build(name, "embedding", "style_tokens").train(), speech()
    learned = model(batch)
    losses = [pair.predicted.square().sum() for pair in learned.compared.values()]
    losses += [nats.sum() for nats in learned.nats.values()]
    sum(losses).backward()
    unreached = [key for key, p in model.conditions.named_parameters() if p.grad is None or not p.grad.ne(0).any()]
    # So few frames are one step of the reference encoder's GRU at times, which has no past to weigh.
    assert set(unreached) <= {"parts.style_tokens.styles.reference.gru.weight_hh_l0"}
    usual = [say(model, speakers=torch.tensor([i])) for i in range(SPEAKERS)]
    assert not same(usual[0], usual[1]) and not same(usual[1], usual[2])


def test_one_speaker_has_no_table():
    assert build("fastspeech", "embedding", facts=replace(FACTS, num_speakers=1)).conditions.dim == 0
    assert conditions("embedding", num_speakers=1)(Told(torch.tensor([0]))) is None
    assert conditions("reference", num_speakers=1).dim == D


def test_several_conditions_add_up():
    both, told = conditions("embedding", "reference").eval(), Told(torch.tensor([2, 1]), torch.randn(2, 9, F_BINS))
    told = replace(told, feat_lens=torch.tensor([9, 4]))
    expected = sum(part(told) for part in both.parts.values())
    torch.testing.assert_close(both(told), expected.unsqueeze(1))
    assert both.controls == {"speakers", "reference"}


@by_recording
def test_without_a_recording_a_speaker_sounds_as_usual_and_a_stranger_has_no_colour(kind):
    """While weights stand still, the mean of all that was heard; later utterances weigh a little more."""
    heard = conditions(kind).parts[kind].train()
    vectors, speakers = [], torch.tensor([0, 2, 0, 2, 2])
    for seed in range(3):
        told = Told(speakers, recordings(5, seed=seed)["reference"], torch.full((5,), 17))
        vectors.append(heard(told).detach())
    heard.eval()
    usual = heard(Told(torch.arange(SPEAKERS)))
    for speaker in (0, 2):
        means = torch.stack([each[speakers == speaker].mean(0) for each in vectors])
        torch.testing.assert_close(usual[speaker], means.mean(0), rtol=0.02, atol=0.01)
    assert usual[1].eq(0).all()
    before = heard.sums.clone()
    heard(told)  # in synthesis nothing is learned
    assert torch.equal(heard.sums, before)


def test_old_vectors_fade():
    heard = conditions("reference").parts["reference"]
    for value in (1.0, 5.0):
        for _ in range(160):
            heard._remember(torch.full((50, D), value), torch.zeros(50, dtype=torch.int64))
    torch.testing.assert_close(heard(Told(torch.tensor([0]))), torch.full((1, D), 5.0), atol=2e-3, rtol=0)


def test_weights_of_styles_take_the_place_of_a_recording():
    style, told = conditions("style_tokens").eval(), recordings()
    heard = style(Told(torch.tensor([0]), told["reference"], told["reference_lens"]))
    weights = style.parts["style_tokens"].styles.weights(told["reference"], told["reference_lens"])
    torch.testing.assert_close(style(Told(torch.tensor([0]), style=weights)), heard)
    other = recordings(seed=1)
    chosen = Told(torch.tensor([0]), other["reference"], other["reference_lens"], style=weights)
    torch.testing.assert_close(style(chosen), heard)
    with pytest.raises(ValueError, match="style: expected weights of the voice's 3 style tokens, got 4"):
        style(Told(torch.tensor([0]), style=torch.ones(1, 4) / 4))


def test_conditions_are_chosen_by_name_and_each_once():
    config = validate(FastSpeech.Config, {"conditions": ["embedding", {"name": "style_tokens", "num_tokens": 4}]})
    assert [each.name for each in config.conditions] == ["embedding", "style_tokens"] and config.conditions[1].num_tokens == 4
    assert "num_tokens: 4" in dump(config) and validate(FastSpeech.Config, config.model_dump(mode="json")) == config
    with pytest.raises(ConfigError, match="conditions: expected each of them once, got reference, reference"):
        validate(FastSpeech.Config, {"conditions": ["reference", "reference"]})
    with pytest.raises(ConfigError, match="no condition is called 'style_token', did you mean 'style_tokens'"):
        validate(FastSpeech.Config, {"conditions": ["style_token"]})
