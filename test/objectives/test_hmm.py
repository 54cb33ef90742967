from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file

from speechkit.config import ConfigError, validate
from speechkit.data.batch import Targets
from speechkit.objectives.hmm import HmmObjective
from speechkit.text.vocabulary import Vocabulary

V = 5
TARGETS = Targets(torch.tensor([[1, 2, 0], [3, 3, 1]]), torch.tensor([2, 3]))
LENS = torch.tensor([13, 6])


def built(**options):
    torch.manual_seed(0)
    objective = HmmObjective.Config(decoder={"name": "hmm", "states_per_token": 2}, **options).build(vocabulary=Vocabulary(V))
    return objective, objective.config.decoder.build(in_dim=7, vocabulary=Vocabulary(V))


def test_a_flat_start_deals_frames_out_equally_over_states_and_silence_and_over_states_where_frames_are_few():
    objective, decoder = built()
    encoder_out = torch.randn(2, 13, 7)
    log_posteriors = decoder.eval()(encoder_out)
    loss = objective(decoder, encoder_out, LENS, TARGETS)
    # 13 frames for 7 labels: silence, token 1 (states 2 and 3), silence, token 2 (states 4 and 5), silence
    first = [0, 0, 2, 2, 3, 3, 0, 0, 4, 4, 5, 5, 0]
    places = [t * 7 // 13 for t in range(13)]
    assert [[0, 2, 3, 0, 4, 5, 0][p] for p in places] == first
    torch.testing.assert_close(loss[0], -log_posteriors[0, range(13), first].sum())
    torch.testing.assert_close(loss[1], -log_posteriors[1, range(6), [6, 7, 6, 7, 2, 3]].sum())


def test_later_batches_are_aligned_by_the_network_itself():
    objective, decoder = built(flat_batches=0)
    encoder_out = torch.randn(2, 13, 7)
    loss = objective(decoder.eval(), encoder_out, LENS, TARGETS)
    scores = [alignment.score for alignment in objective.align(decoder, encoder_out, LENS, TARGETS)]
    # Nothing was counted yet, so likelihoods are posteriors but for the constant of ten equal priors.
    torch.testing.assert_close(loss.double(), LENS * math.log(10) - torch.tensor(scores).double(), rtol=1e-5, atol=1e-5)
    flat, _ = built()
    assert (loss <= flat(decoder, encoder_out, LENS, TARGETS) + 1e-5).all()


def test_states_are_counted_in_training_alone():
    objective, decoder = built()
    encoder_out = torch.randn(2, 13, 7)
    before = decoder.state_counts.clone()
    objective(decoder.eval(), encoder_out, LENS, TARGETS)
    assert torch.equal(decoder.state_counts, before) and decoder.num_batches == 0
    objective(decoder.train(), encoder_out, LENS, TARGETS)
    torch.testing.assert_close(decoder.state_counts.sum(), before.sum() * 0.999 + 13 + 6)
    assert decoder.num_batches == 1


def test_an_alignment_has_a_span_of_its_states_for_every_token():
    objective, decoder = built()
    first, second = objective.align(decoder.eval(), torch.randn(2, 13, 7), LENS, TARGETS)
    assert second.token_times == [(0, 2), (2, 4), (4, 6)]  # six frames for six states
    assert len(first.token_times) == 2 and all(b - a >= 2 for a, b in first.token_times)
    impossible = objective.align(decoder, torch.randn(2, 13, 7), torch.tensor([3, 5]), TARGETS)
    assert [each.score for each in impossible] == [-torch.inf] * 2


def test_the_bigram_of_the_transcripts_is_kept_for_the_search(tmp_path):
    objective, _ = built()
    objective.fit([[1, 2], [1, 2], [3]], tmp_path / "hmm")
    probs = load_file(tmp_path / "hmm" / "bigram.safetensors")["log_probs"].exp()
    torch.testing.assert_close(probs[[1, 2, 3, 4]][:, 1:].sum(1), torch.ones(4))  # all but the blank
    assert probs[1].argmax() == 2 and probs[2].argmax() == 4 and probs[4].argmax() == 1


def test_training_does_not_go_on_without_the_bigram(tmp_path):
    objective, _ = built()
    with pytest.raises(ValueError, match="bigram.safetensors: expected a bigram that training began with, .*; restore"):
        objective.load(tmp_path / "hmm")
    objective.fit([[1, 2]], tmp_path / "hmm")
    objective.load(tmp_path / "hmm")


def test_another_decoder_is_refused():
    with pytest.raises(ConfigError, match="expected hmm, which has the states"):
        validate(HmmObjective.Config, {"name": "hmm", "decoder": {"name": "linear"}})
