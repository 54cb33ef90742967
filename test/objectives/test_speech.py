from __future__ import annotations

import pytest
import torch
from torch import tensor

from speechkit.config import ConfigError
from speechkit.models.acoustic.base import AcousticModel, Alignment, Compared, Learned
from speechkit.objectives.forward_sum import binarization
from speechkit.objectives.guided_attention import guided_attention
from speechkit.objectives.speech import SpeechObjective

LENS = tensor([5, 3])


def build(name, of="mel", **options):
    kind = SpeechObjective.registry[name]
    return kind.Config(name=name, **options).build(of=of)


def learned(**more):
    torch.manual_seed(0)
    pair = Compared(torch.randn(2, 5, 3), torch.randn(2, 5, 3), LENS)
    return Learned(compared={"mel": pair, "stop": Compared(torch.randn(2, 5), torch.eye(5)[[4, 2]], LENS)}, **more)


def aligned():
    log_probs = torch.randn(2, 5, 2).log_softmax(2)
    durations = tensor([[2, 3], [3, 0]])
    return Alignment(log_probs.exp(), LENS, tensor([2, 1]), log_probs, durations)


def test_a_difference_is_between_what_its_key_names_and_blind_to_padding():
    found = learned()
    pair = found.compared["mel"]
    by_hand = [(pair.predicted[b, :n] - pair.target[b, :n]).abs().mean().item() for b, n in enumerate(LENS.tolist())]
    assert build("l1")(found).tolist() == pytest.approx(by_hand)
    squares = [(pair.predicted[b, :n] - pair.target[b, :n]).square().sum().item() for b, n in enumerate(LENS.tolist())]
    assert build("mse", per="utterance")(found).tolist() == pytest.approx(squares)


def test_the_end_weighs_more_than_that_speech_goes_on():
    found = learned()
    light, heavy = (build("bce", "stop", positive_weight=weight, per="utterance")(found) for weight in (1.0, 3.0))
    ends = found.compared["stop"].predicted[[0, 1], [4, 2]]
    torch.testing.assert_close(heavy - light, -2 * ends.sigmoid().log())


def test_nats_of_the_model_go_through():
    assert build("nats", "kl")(learned(nats={"kl": tensor([1.5, 2.0])})).tolist() == [1.5, 2.0]


def test_attention_is_judged_per_step():
    found = aligned()
    by_hand = guided_attention(found.weights, LENS, tensor([2, 1]), 0.3) / LENS
    torch.testing.assert_close(build("guided_attention", "alignment", width=0.3)(Learned(alignment=found)), by_hand)


def test_the_hard_path_follows_the_durations():
    found = aligned()
    path = torch.zeros(2, 5, 2, dtype=torch.bool)
    path[0, :2, 0] = path[0, 2:, 1] = path[1, :3, 0] = True
    by_hand = binarization(found.log_probs, path) / LENS
    torch.testing.assert_close(build("binarization", "alignment")(Learned(alignment=found)), by_hand)


def test_all_alignments_of_one_token_are_one():
    found = Alignment(torch.ones(1, 4, 1), tensor([4]), tensor([1]), torch.zeros(1, 4, 1))
    nats = build("forward_sum", "alignment", blank_logit=-torch.inf)(Learned(alignment=found))
    assert nats.item() == pytest.approx(0.0, abs=1e-6)


def test_what_the_model_does_not_give_cannot_be_judged():
    class Mute(AcousticModel):
        gives = frozenset({"mel", "alignment"})

    SpeechObjective.registry["l1"].check("mel", Mute.gives)
    SpeechObjective.registry["forward_sum"].check("anything", Mute.gives)
    with pytest.raises(ValueError, match="expected one of alignment, mel, which the model gives, got 'pitch'"):
        SpeechObjective.registry["mse"].check("pitch", Mute.gives)
    with pytest.raises((ConfigError, ValueError)):
        build("bce", "stop", positive_weight=0.0)
