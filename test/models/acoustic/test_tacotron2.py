from __future__ import annotations

import pytest
import torch
from autoregressive_cases import F, build, speech

from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Controls
from speechkit.text.vocabulary import Vocabulary


def test_it_has_as_many_parameters_as_the_layers_of_the_paper():
    facts = AcousticFacts(Vocabulary(148), feat_dim=80, frame_shift=0.0125)
    with torch.device("meta"):
        model = AcousticModel.registry["tacotron2"].Config().build(facts=facts)
    numbers = {name: sum(each.numel() for each in part.parameters()) for name, part in model.named_children()}
    conv = 5 * 512 * 512 + 2 * 512
    assert numbers["encoder"] == 148 * 512 + 3 * conv + 2 * (4 * 256 * (512 + 256) + 2 * 4 * 256)
    lstm = 4 * 1024 * (256 + 512 + 1024) + 4 * 1024 * (1024 + 512 + 1024) + 4 * 4 * 1024
    attention = 1024 * 128 + 128 + 512 * 128 + 128 + 32 * 2 * 31 + 32 * 128
    prenet, out = 80 * 256 + 256 + 256 * 256 + 256, (1024 + 512 + 1) * 81
    assert numbers["decoder"] == lstm + attention + prenet + out
    assert numbers["postnet"] == 5 * 80 * 512 * 2 + 3 * 5 * 512 * 512 + 2 * (4 * 512 + 80)


def test_a_window_keeps_it_near_where_it_was():
    model, given = build("tacotron2", window=(0, 1), max_token_seconds=0.3).eval(), speech()
    said = model.synthesize(given.tokens, given.token_lens, Controls(given.speakers))
    places = said.alignment.argmax(2)
    for b, frames in enumerate(said.feat_lens.tolist()):
        moves = places[b, :frames].diff()
        assert places[b, 0] <= 1 and moves.ge(0).all() and moves.le(1).all()


def test_forward_attention_never_looks_ahead_of_one_token_a_step():
    model, given = build("tacotron2", forward_attention=True), speech()
    weights = model(given).alignment.weights
    steps, tokens = torch.arange(weights.shape[1]).view(-1, 1), torch.arange(weights.shape[2])
    assert weights[:, (tokens > steps + 1)].eq(0).all() and weights[0, (tokens <= steps + 1)].gt(0).all()


def test_a_text_without_an_end_is_stopped_at_the_limit_for_its_tokens():
    model, given = build("tacotron2", max_token_seconds=0.31).eval(), speech()
    torch.nn.init.constant_(model.decoder.stop.bias, -100.0)
    said = model.synthesize(given.tokens, given.token_lens, Controls(given.speakers))
    assert not said.finished.any()
    assert said.feat_lens.tolist() == [(5 + 2) * 4, (3 + 2) * 4]  # frames of 0.1 s, rounded up
    assert said.feats.shape == (2, 28, F)


@pytest.mark.parametrize("option", [{"zoneout": 0.5}, {"dropout": 0.5}, {"prenet_dropout": 0.5}])
def test_what_is_random_in_training(option):
    quiet = {"zoneout": 0.0, "prenet_dropout": 0.0, "encoder_dropout": 0.0, "postnet_dropout": 0.0}
    model, given = build("tacotron2", **{**quiet, **option}), speech()
    first, second = (model(given).compared["mel_before"].predicted for _ in range(2))
    assert not torch.equal(first, second)
    model.eval()
    first, second = (model(given).compared["mel_before"].predicted for _ in range(2))
    assert torch.equal(first, second) == ("prenet_dropout" not in option)
