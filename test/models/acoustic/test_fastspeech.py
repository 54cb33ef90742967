from __future__ import annotations

import pytest
import torch
from feed_forward_cases import PREDICTOR, TINY, build, speech
from torch import nn

from speechkit.models.acoustic.base import Controls
from speechkit.nn.variance_predictor import log_durations
from speechkit.objectives import regression

POSTNET = {"postnet_layers": 2, "postnet_dim": 6, "postnet_dropout": 0.0}


class Says(nn.Module):
    """A predictor that knows the answer."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        return self.answer


@pytest.mark.parametrize("options", [{}, POSTNET])
def test_with_the_same_durations_it_says_in_synthesis_what_it_says_in_training(options):
    model, batch = build({"name": "fastspeech", **TINY, **options}).eval(), speech()
    taught = model(batch).compared["mel"].predicted
    model.duration = Says(log_durations(batch.durations))
    spoken = model.synthesize(batch.tokens, batch.token_lens, Controls(batch.speakers))
    torch.testing.assert_close(spoken.feats, taught)
    assert torch.equal(spoken.durations, batch.durations) and torch.equal(spoken.feat_lens, batch.feat_lens)


def test_the_post_net_stands_behind_what_is_also_compared():
    model = build({"name": "fastspeech", **TINY, **POSTNET}).eval()
    compared = model(speech()).compared
    before, after = compared["mel_before"], compared["mel"]
    assert torch.equal(before.target, after.target)
    torch.testing.assert_close(model.postnet(before.predicted, before.lens), after.predicted)
    with pytest.raises(ValueError, match="postnet_layers: expected 0 or at least 2, got 1"):
        build({"name": "fastspeech", **TINY, "postnet_layers": 1})


def test_it_learns_recordings_by_heart():
    options = {**TINY, "encoder": {**TINY["encoder"], "dim": 24}, "decoder": {**TINY["decoder"], "dim": 24, "ff_dim": 48}}
    model, batch = build({"name": "fastspeech", **options, "duration": {**PREDICTOR, "dim": 16}}), speech()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        losses = {name: regression.mse(c.predicted, c.target, c.lens).mean() for name, c in model(batch).compared.items()}
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert losses["mel"] < 0.05 and losses["log_duration"] < 0.01  # of variances 1 and 0.4
    spoken = model.eval().synthesize(batch.tokens, batch.token_lens, Controls(batch.speakers))
    assert torch.equal(spoken.durations, batch.durations)
