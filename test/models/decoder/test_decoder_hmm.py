from __future__ import annotations

import torch

from speechkit.models.decoder.hmm import Hmm
from speechkit.text.vocabulary import Vocabulary


def test_posteriors_are_distributions_over_the_states_of_all_tokens():
    decoder = Hmm.Config(states_per_token=2).build(in_dim=3, vocabulary=Vocabulary(5)).eval()
    log_posteriors = decoder(torch.randn(2, 7, 3))
    assert log_posteriors.shape == (2, 7, 10) and decoder.silence == 0
    torch.testing.assert_close(log_posteriors.exp().sum(-1), torch.ones(2, 7))


def test_likelihoods_are_posteriors_over_priors_which_follow_the_states_that_were_seen():
    decoder = Hmm.Config(states_per_token=1).build(in_dim=3, vocabulary=Vocabulary(3)).eval()
    decoder.count(torch.tensor([0, 0, 0, 2]))
    torch.testing.assert_close(decoder.state_counts, torch.tensor([3.0, 0.0, 1.0]))
    log_posteriors = decoder(torch.randn(1, 2, 3))
    priors = torch.tensor([4.0, 1.0, 2.0]) / 7
    torch.testing.assert_close(decoder.likelihoods(log_posteriors).exp(), log_posteriors.exp() / priors)
    assert decoder.num_batches == 1 and "state_counts" in decoder.state_dict()
