from __future__ import annotations

import itertools
import math

import pytest
import torch

from speechkit.graphs import monotonic_alignment
from speechkit.graphs.monotonic_alignment import (
    gaussian_log_likelihoods,
    monotonic_alignment_search,
    monotonic_durations,
)

every_kernel = pytest.mark.parametrize("kernel", ["numba", "torch"])
FRAMES, TOKENS = torch.tensor([9, 1, 4, 6, 0]), torch.tensor([4, 1, 4, 2, 0])


def scores():
    return torch.randn(5, 9, 4, generator=torch.Generator().manual_seed(5))


def durations_of(num_frames, num_tokens):
    """All ways to give the frames to the tokens in order."""
    for inner in itertools.combinations(range(1, num_frames), num_tokens - 1):
        borders = [0, *inner, num_frames]
        yield [b - a for a, b in itertools.pairwise(borders)]


@every_kernel
def test_the_path_is_the_best_of_all_for_each_utterance_of_a_padded_batch(kernel):
    likelihoods = scores()
    noisy = likelihoods.clone()
    for b, (t, u) in enumerate(zip(FRAMES, TOKENS)):
        noisy[b, t:], noisy[b, :, u:] = math.nan, math.nan
    path = monotonic_alignment_search(noisy, FRAMES, TOKENS, kernel)
    for b, (t, u) in enumerate(zip(FRAMES.tolist(), TOKENS.tolist())):
        assert path[b, t:].sum() == 0 and path[b, :, u:].sum() == 0
        assert (path[b, :t].sum(1) == 1).all()
        if t:
            best = max(durations_of(t, u), key=lambda each: total(likelihoods[b], each))
            assert path[b].sum(0)[:u].tolist() == best
            tokens = path[b, :t].int().argmax(1)
            assert set(tokens.diff().tolist()) <= {0, 1}


def total(likelihoods, durations):
    tokens = torch.tensor(durations).cumsum(0)
    return sum(likelihoods[t, int((tokens <= t).sum())].double() for t in range(sum(durations)))


@every_kernel
def test_published_score_of_aligner_pytorch(kernel):
    # archinetai/aligner-pytorch, README. Three paths have this score.
    similarity = torch.tensor(
        [
            [0.2, 0.8, 0.9, 0.9, 0.9, 0.4],
            [0.6, 0.8, 0.9, 0.7, 0.1, 0.4],
            [1.0, 0.4, 0.4, 0.2, 1.0, 0.7],
            [0.1, 0.3, 0.1, 0.7, 0.6, 0.9],
        ]
    ).T[None]
    path = monotonic_alignment_search(similarity, torch.tensor([6]), torch.tensor([4]), kernel)
    assert (similarity * path).sum().item() == pytest.approx(4.5)


def test_ties_and_threads_and_all_kernels_agree(monkeypatch):
    coarse = scores().mul(2).round()
    alone = monotonic_alignment_search(coarse, FRAMES, TOKENS, "numba")
    monkeypatch.setattr(monotonic_alignment, "ENOUGH", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert torch.equal(monotonic_alignment_search(coarse, FRAMES, TOKENS, "numba"), alone)
    assert torch.equal(monotonic_alignment_search(coarse, FRAMES, TOKENS, "torch"), alone)
    assert torch.equal(monotonic_alignment_search(coarse.requires_grad_(), FRAMES, TOKENS), alone)


@every_kernel
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_durations_are_the_sums_of_the_path_in_any_precision_and_layout(kernel, dtype):
    likelihoods = scores().mul(4).to(dtype)
    durations = monotonic_durations(likelihoods, FRAMES, TOKENS, kernel)
    path = monotonic_alignment_search(likelihoods.float(), FRAMES, TOKENS, kernel)
    assert durations.dtype == torch.int64 and torch.equal(durations, path.sum(1))
    assert torch.equal(durations.sum(1), FRAMES)
    turned = likelihoods.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(monotonic_durations(turned, FRAMES, TOKENS, kernel), durations)


@every_kernel
@pytest.mark.parametrize("value", [-math.inf, math.nan])
def test_scores_without_a_meaning_still_give_a_path(kernel, value):
    durations = monotonic_durations(torch.full((5, 9, 4), value), FRAMES, TOKENS, kernel)
    valid = torch.arange(4) < TOKENS.unsqueeze(1)
    assert torch.equal(durations.sum(1), FRAMES) and (durations[valid] >= 1).all() and (durations[~valid] == 0).all()


@every_kernel
def test_a_batch_without_tokens_has_no_durations(kernel):
    none = torch.zeros(2, dtype=torch.int64)
    assert monotonic_durations(torch.zeros(2, 3, 0), none, none, kernel).shape == (2, 0)
    assert monotonic_alignment_search(torch.zeros(2, 0, 3), none, none, kernel).shape == (2, 0, 3)


@pytest.mark.parametrize(("frames", "tokens"), [(3, 4), (3, 0)])
def test_an_utterance_that_has_no_path_is_named(frames, tokens):
    with pytest.raises(ValueError, match=f"utterance 1 of the batch: .* got {tokens} tokens and {frames} frames; drop it"):
        monotonic_alignment_search(torch.zeros(2, 5, 4), torch.tensor([5, frames]), torch.tensor([4, tokens]))


def test_likelihoods_of_gaussians_multiplied_out_equal_the_density():
    z, means, log_stds = (torch.randn(2, n, 7, dtype=torch.float64) for n in (5, 3, 3))
    density = torch.distributions.Normal(means[:, None], log_stds[:, None].exp())
    torch.testing.assert_close(gaussian_log_likelihoods(z, means, log_stds), density.log_prob(z[:, :, None]).sum(-1))
