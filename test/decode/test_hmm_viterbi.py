from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from speechkit.decode.hmm_viterbi import HmmViterbiSearch
from speechkit.models.decoder.hmm import Hmm
from speechkit.objectives.hmm import HmmObjective
from speechkit.text.vocabulary import Vocabulary

V = 5
VOCABULARY = Vocabulary(V)


def built(tmp_path, states_per_token, **options):
    torch.manual_seed(0)
    decoder = Hmm.Config(states_per_token=states_per_token).build(in_dim=7, vocabulary=VOCABULARY).eval()
    decoder.count(torch.arange(V * states_per_token).repeat(3))
    decoder.count(torch.randint(0, V * states_per_token, (50,)))
    HmmObjective.Config().build(vocabulary=VOCABULARY).fit([[1, 2], [2, 3, 1], [3], [1, 1]], tmp_path / "objectives" / "hmm")
    return HmmViterbiSearch.Config(**options).build(vocabulary=VOCABULARY, model_dir=tmp_path), decoder


def best_by_enumeration(scores, bigram, each, lm_scale, bonus):
    """The best score and tokens over all ways to cut the frames into silence and states of tokens."""
    frames, best = len(scores), (-np.inf, [])
    for count in range(frames // each + 1):
        for tokens in itertools.product(range(1, V - 1), repeat=count):
            labels = [0]
            for token in tokens:
                labels += [token * each + k for k in range(each)] + [0]
            silent = [i % (each + 1) == 0 for i in range(len(labels))]
            lm = bigram[[V - 1, *tokens], [*tokens, V - 1]].sum()
            for durations in durations_of(silent, frames):
                path = np.repeat(labels, durations)
                score = scores[np.arange(frames), path].sum() + lm_scale * lm + bonus * count
                best = max(best, (score, list(tokens)))
    return best


def durations_of(silent, frames):
    """All ways to give each label frames that sum to ``frames``, none to silent ones if they like."""
    if not silent:
        yield from [()] if frames == 0 else []
        return
    for first in range(0 if silent[0] else 1, frames + 1):
        yield from ((first, *rest) for rest in durations_of(silent[1:], frames - first))


@pytest.mark.parametrize(("states_per_token", "lm_scale", "bonus"), [(1, 1.0, 0.0), (2, 0.5, 1.5), (3, 0.0, 4.0)])
def test_the_best_path_is_that_of_enumeration(tmp_path, states_per_token, lm_scale, bonus):
    search, decoder = built(tmp_path, states_per_token, lm_scale=lm_scale, length_bonus=bonus)
    encoder_out, lens = 3 * torch.randn(2, 4, 7), torch.tensor([4, 3])
    bigram = search._bigram("hmm")
    for b, [hypothesis] in enumerate(search.decode({"hmm": decoder}, encoder_out, lens)):
        scores = decoder.likelihoods(decoder(encoder_out[b, : lens[b]])).detach().double().numpy()
        score, tokens = best_by_enumeration(scores, bigram, states_per_token, lm_scale, bonus)
        assert hypothesis.score == pytest.approx(score, abs=1e-5) and hypothesis.tokens == tokens
        parts = hypothesis.scores["hmm"] + lm_scale * hypothesis.scores["bigram"] + bonus * len(tokens)
        assert parts == pytest.approx(hypothesis.score, abs=1e-5)
        assert len(hypothesis.token_times) == len(tokens) == len(hypothesis.confidences)


def test_posteriors_of_a_known_hmm_give_its_likeliest_path(tmp_path):
    """p(state | frame) from a known likelihood and prior: dividing by the prior gives back the path of that HMM."""
    search, decoder = built(tmp_path, 1, lm_scale=0.0)
    generator = np.random.default_rng(0)
    likelihood, prior = generator.dirichlet(np.ones(V), 6), generator.dirichlet(np.ones(V))
    posteriors = likelihood * prior / (likelihood * prior).sum(1, keepdims=True)
    decoder.state_counts = torch.from_numpy(prior * 1e9)  # so many frames that the one added to each does not matter
    decoder.forward = lambda encoder_out: torch.from_numpy(posteriors).log().unsqueeze(0)
    [[hypothesis]] = search.decode({"hmm": decoder}, torch.zeros(1, 6, 7), torch.tensor([6]))
    allowed = likelihood[:, : V - 1].argmax(1)  # </s> has no state
    assert hypothesis.tokens == [token for token, _ in itertools.groupby(allowed) if token != 0]


def test_an_utterance_without_frames_says_nothing(tmp_path):
    search, decoder = built(tmp_path, 2)
    assert search.decode({"hmm": decoder}, torch.zeros(1, 0, 7), torch.tensor([0]))[0][0].tokens == []


def test_a_missing_bigram_and_one_of_other_tokens_are_named(tmp_path):
    _, decoder = built(tmp_path, 2)
    with pytest.raises(ValueError, match="hmm/bigram.safetensors: expected the bigram"):
        HmmViterbiSearch.Config().build(vocabulary=VOCABULARY, model_dir=tmp_path / "other").decode(
            {"hmm": decoder}, torch.zeros(1, 3, 7), torch.tensor([3])
        )
    with pytest.raises(ValueError, match="expected 9 tokens, as the model has, got 5"):
        HmmViterbiSearch.Config().build(vocabulary=Vocabulary(9), model_dir=tmp_path).decode(
            {"hmm": decoder}, torch.zeros(1, 3, 7), torch.tensor([3])
        )
