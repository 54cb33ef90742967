from __future__ import annotations

import math

import pytest
import torch
from feed_forward_cases import BUCKETS, VARIED, build, speech
from torch import nn

from speechkit.models.acoustic.base import Controls
from speechkit.nn.variance_predictor import log_durations

FRAME = {"name": "fastspeech2", **VARIED, "variance_level": "frame"}
TOKEN = {"name": "fastspeech2", **VARIED, "variance_level": "token"}


class Says(nn.Module):
    """A predictor that knows the answer."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        return self.answer


def valid(values: torch.Tensor) -> torch.Tensor:
    """Of all three recordings, what is no padding."""
    return torch.cat([values[b, :length] for b, length in enumerate(speech().feat_lens.tolist())])


def test_statistics_are_those_of_voiced_frames_and_of_all_frames():
    model = build(TOKEN)
    pitch, energy = valid(speech().pitch), valid(speech().energy)
    logs = pitch[pitch > 0].log()
    assert model.pitch.moments.mean.item() == pytest.approx(logs.mean().item(), rel=1e-5)
    assert model.pitch.moments.std.item() == pytest.approx(logs.std(correction=0).item(), rel=1e-5)
    assert model.energy.moments.mean.item() == pytest.approx(energy.mean().item(), rel=1e-5)
    assert model.energy.moments.high.item() == energy.max()
    model.fit([speech(), speech()])  # anew, not on top
    assert model.pitch.moments.count == len(logs) * 2


def test_a_model_that_has_seen_no_recordings_says_so():
    model = build(TOKEN)
    model.fit([])
    with pytest.raises(ValueError, match="statistics: expected those of the training data"):
        model(speech())


def test_targets_of_tokens_are_means_of_voiced_logarithms_and_of_energies():
    model, batch = build(TOKEN), speech()
    pitch, energy = model.targets(batch, batch.durations)
    start = 0
    for u, frames in enumerate(batch.durations[0].tolist()):
        hertz, start = batch.pitch[0, start : start + frames], start + frames
        expected = 0.0
        if hertz.gt(0).any():
            expected = ((hertz[hertz > 0].log().mean() - model.pitch.moments.mean) / model.pitch.moments.std).item()
        assert pitch[0, u].item() == pytest.approx(expected, abs=1e-4)
        mean = batch.energy[0, start - frames : start].mean()
        assert energy[0, u].item() == pytest.approx(
            ((mean - model.energy.moments.mean) / model.energy.moments.std).item(), abs=1e-4
        )
    assert pitch[1, 1] == energy[1, 1] == 0  # a token of no frames


def test_targets_of_frames_are_straight_lines_where_there_is_no_voice():
    model, batch = build(FRAME), speech()
    pitch, _ = model.targets(batch, batch.durations)
    logs = batch.pitch[1, :11].clamp(min=1).log()
    voiced = batch.pitch[1, :11] > 0
    assert 0 < voiced.sum() < 11
    z = (logs - model.pitch.moments.mean) / model.pitch.moments.std
    torch.testing.assert_close(pitch[1, :11][voiced].double(), z[voiced].double(), atol=1e-5, rtol=1e-5)
    assert pitch[1, :11].isfinite().all() and pitch[1, :11].abs().max() <= z[voiced].abs().max() + 1e-4


@pytest.mark.parametrize("options", [TOKEN, FRAME, {**FRAME, "pitch": BUCKETS, "energy": BUCKETS}])
def test_with_the_answers_of_the_recordings_it_says_in_synthesis_what_it_says_in_training(options):
    model, batch = build(options).eval(), speech()
    taught = model(batch).compared
    model.duration = Says(log_durations(batch.durations))
    for name in ("pitch", "energy"):
        getattr(model, name).predictor = Says(taught[name].target)
    spoken = model.synthesize(batch.tokens, batch.token_lens, Controls(batch.speakers))
    torch.testing.assert_close(spoken.feats, taught["mel"].predicted, atol=1e-4, rtol=1e-4)
    assert torch.equal(spoken.durations, batch.durations)


@pytest.mark.parametrize("options", [TOKEN, FRAME])
def test_an_octave_up_doubles_the_pitch_that_the_decoder_hears(options):
    model, batch = build(options).eval(), speech()
    heard = []
    model.pitch.embedding.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    usual, high = (
        model.synthesize(batch.tokens, batch.token_lens, Controls(pitch_shift=shift)) for shift in (0.0, 12.0)
    )
    torch.testing.assert_close(high.pitch, 2 * usual.pitch)
    assert usual.pitch[0, : usual.feat_lens[0]].gt(0).all() and not torch.equal(usual.feats, high.feats)
    expected = heard[0] + math.log(2) / model.pitch.moments.std
    within = torch.arange(heard[0].shape[1]) < (batch.token_lens if options is TOKEN else usual.feat_lens).unsqueeze(1)
    torch.testing.assert_close(heard[1][within].double(), expected[within].double(), atol=1e-4, rtol=1e-4)


def test_energy_is_scaled_as_such_not_as_a_normalised_number():
    model, batch = build(TOKEN).eval(), speech()
    heard = []
    model.energy.embedding.register_forward_pre_hook(lambda _, inputs: heard.append(model.energy.moments.restore(inputs[0])))
    for scale in (1.0, 1.5):
        model.synthesize(batch.tokens, batch.token_lens, Controls(energy_scale=scale))
    torch.testing.assert_close(heard[1][0], 1.5 * heard[0][0])


def test_statistics_travel_with_the_weights():
    model, other = build(TOKEN), build(TOKEN)
    other.fit([])
    other.load_state_dict(model.state_dict())
    other(speech())
