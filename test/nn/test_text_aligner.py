from __future__ import annotations

from fractions import Fraction
from math import comb, factorial

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.text_aligner import TextAligner, beta_binomial_log_prior

B, T, U, D, M = 3, 11, 4, 5, 7
FRAMES, TOKENS = torch.tensor([11, 6, 7]), torch.tensor([4, 2, 3])


def exact(num_frames, num_tokens, scale=1):
    """(T, U) beta-binomial probabilities with n = U - 1, in fractions: Beta(x, y) = (x-1)! (y-1)! / (x+y-1)!"""

    def beta(x, y):
        return Fraction(factorial(x - 1) * factorial(y - 1), factorial(x + y - 1))

    n, rows = num_tokens - 1, []
    for t in range(1, num_frames + 1):
        a, b = scale * t, scale * (num_frames + 1 - t)
        rows.append([float(comb(n, u) * beta(u + a, n - u + b) / beta(a, b)) for u in range(num_tokens)])
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("scale", [1, 3])
def test_the_prior_equals_its_formula_in_fractions(scale):
    prior = beta_binomial_log_prior(FRAMES, TOKENS, T, U, scale).exp()
    for b, (t, u) in enumerate(zip(FRAMES.tolist(), TOKENS.tolist())):
        torch.testing.assert_close(prior[b, :t, :u], exact(t, u, scale).float())
        assert prior[b, :, u:].eq(0).all()
    torch.testing.assert_close(prior.sum(2), torch.ones(B, T))


def test_the_prior_of_one_frame_is_uniform_and_that_of_a_long_utterance_is_exact_far_from_the_diagonal():
    one = beta_binomial_log_prior(torch.tensor([1]), torch.tensor([4]), 1, 4).exp()
    torch.testing.assert_close(one, torch.full((1, 1, 4), 0.25))  # a = b = 1
    found = beta_binomial_log_prior(torch.tensor([173]), torch.tensor([59]), 173, 59)
    torch.testing.assert_close(found[0], exact(173, 59).log().float(), rtol=1e-4, atol=1e-4)
    assert found.min() < -100


def test_the_prior_of_a_text_read_backwards_is_the_prior_backwards():
    prior = beta_binomial_log_prior(torch.tensor([11]), torch.tensor([4]), 11, 4, 0.7)
    torch.testing.assert_close(prior, prior.flip(1, 2))


def build(**options):
    return TextAligner(D, M, dim=3, temperature=0.5, **options)


def inputs():
    return torch.randn(B, U, D), TOKENS, torch.randn(B, T, M), FRAMES


@pytest.mark.parametrize("prior_scale", [None, 1.0])
def test_log_probabilities_equal_the_formula_for_each_utterance_of_a_padded_batch(prior_scale):
    aligner, (text, _, feats, _) = build(prior_scale=prior_scale), inputs()
    for b, (t, u) in enumerate(zip(FRAMES.tolist(), TOKENS.tolist())):
        text[b, u:], feats[b, t:] = torch.nan, torch.nan
    log_probs = aligner(text, TOKENS, feats, FRAMES)
    for b, (t, u) in enumerate(zip(FRAMES.tolist(), TOKENS.tolist())):
        keys = F.conv1d(text[b, :u].T, aligner.text_conv.weight, aligner.text_conv.bias, padding=1).T.relu()
        queries = F.conv1d(feats[b, :t].T, aligner.feat_conv.weight, aligner.feat_conv.bias, padding=1).T.relu()
        queries = aligner.feat_out(aligner.feat_hidden(queries).relu())
        scores = -0.5 * torch.cdist(queries, aligner.text_out(keys)).square()
        probs = scores.softmax(1) * (1 if prior_scale is None else exact(t, u).float())
        torch.testing.assert_close(log_probs[b, :t, :u].exp(), probs)
        assert log_probs[b, :, u:].eq(-torch.inf).all() and log_probs[b, :, :u].isfinite().all()


def test_gradients_reach_every_parameter_and_empty_utterances_harm_nobody():
    aligner, (text, _, feats, _) = build(), inputs()
    log_probs = aligner(text, torch.tensor([4, 0, 3]), feats, torch.tensor([11, 0, 7]))
    (log_probs[0] * torch.randn(T, U)).sum().backward()
    for name, parameter in aligner.named_parameters():
        assert parameter.grad.isfinite().all()
        assert name == "text_out.bias" or parameter.grad.ne(0).any(), name
    assert log_probs[1].isfinite().all()


def test_distances_are_taken_in_float32_under_autocast():
    aligner, given = build(), inputs()
    expected = aligner(*given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = aligner(*given)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0], expected[0], atol=0.05, rtol=0.05)
