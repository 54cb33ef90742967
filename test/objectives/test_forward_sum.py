from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from speechkit.graphs.monotonic_alignment import monotonic_alignment_search
from speechkit.nn.text_aligner import TextAligner
from speechkit.objectives.forward_sum import binarization, forward_sum

B, T, U = 4, 7, 3
FRAMES, TOKENS = torch.tensor([7, 5, 3, 2]), torch.tensor([3, 1, 3, 3])


def scores():
    return torch.randn(B, T, U, dtype=torch.float64)


def as_in_the_authors_code(log_probs, blank_logit=-1.0):
    """One utterance (T, U): what NVIDIA/NeMo (nemo/collections/tts/losses/aligner_loss.py) computes, but not per token."""
    logits = F.pad(log_probs, (1, 0), value=blank_logit).log_softmax(1)
    targets = torch.arange(1, log_probs.shape[1] + 1)
    lens = (torch.tensor([len(log_probs)]), torch.tensor([len(targets)]))
    return F.ctc_loss(logits.unsqueeze(1), targets.unsqueeze(0), *lens, reduction="sum")


def test_it_equals_the_authors_loss_for_each_utterance_of_a_padded_batch_with_its_gradient():
    x = scores().requires_grad_()
    noisy = x.clone()
    noisy[1, 5:], noisy[1, :, 1:] = 1e4, -torch.inf
    found = forward_sum(noisy, FRAMES, TOKENS)
    expected = torch.stack([as_in_the_authors_code(x[b, :t, :u]) for b, (t, u) in enumerate(zip(FRAMES, TOKENS)) if t >= u])
    torch.testing.assert_close(found[:3], expected)
    assert found[3] == 0
    probe = torch.randn(B, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((each * probe[: len(each)]).sum(), x)[0] for each in (found, expected))
    torch.testing.assert_close(ours, theirs)
    assert ours[3].eq(0).all()


def test_it_is_the_sum_over_all_monotonic_paths_if_there_is_no_blank():
    x = scores()
    found = forward_sum(x, FRAMES, TOKENS, blank_logit=-math.inf)
    for b in range(3):
        t, u = int(FRAMES[b]), int(TOKENS[b])
        log_probs = x[b, :t, :u].log_softmax(1)
        paths = [p for p in itertools.product(range(u), repeat=t) if p[0] == 0 and p[-1] == u - 1]
        paths = [p for p in paths if all(j - i in (0, 1) for i, j in itertools.pairwise(p))]
        assert len(paths) == math.comb(t - 1, u - 1)
        total = torch.stack([log_probs[range(t), list(p)].sum() for p in paths]).logsumexp(0)
        torch.testing.assert_close(found[b], -total)


def test_equal_scores_have_a_closed_form():
    # C(T + U, 2U) CTC paths of U different labels over T frames, each of probability (U + 1)^-T with a blank like the rest.
    frames, tokens = torch.tensor([7]), torch.tensor([3])
    found = forward_sum(torch.zeros(1, 7, 3, dtype=torch.float64), frames, tokens, blank_logit=0.0)
    assert found.item() == pytest.approx(7 * math.log(4) - math.log(math.comb(10, 6)))


def test_half_precision_and_empty_utterances():
    x, none = torch.randn(2, T, U).bfloat16().requires_grad_(), torch.tensor([3, 0])
    found = forward_sum(x, torch.tensor([7, 7]), none)
    found.sum().backward()
    assert found.dtype == torch.float32 and found[1] == 0 and x.grad.isfinite().all() and x.grad[1].eq(0).all()


def test_binarization_is_the_divergence_of_the_hard_from_the_soft_alignment():
    x = scores()[:3].requires_grad_()
    log_probs = x.masked_fill((torch.arange(U) >= TOKENS[:3].unsqueeze(1)).unsqueeze(1), -torch.inf)
    path = monotonic_alignment_search(log_probs, FRAMES[:3], TOKENS[:3])
    found = binarization(log_probs, path)
    for b, (t, u) in enumerate(zip(FRAMES[:3], TOKENS)):
        hard = torch.distributions.Categorical(probs=path[b, :t, :u].double())
        soft = torch.distributions.Categorical(logits=x[b, :t, :u])
        torch.testing.assert_close(found[b], torch.distributions.kl_divergence(hard, soft).sum())
    found.sum().backward()
    expected = (log_probs.detach().softmax(2) - path.double()).masked_fill(~path.any(2, keepdim=True), 0.0)
    torch.testing.assert_close(x.grad, expected)


def spoken_by_a_machine(batch, num_tokens, num_sounds):
    """Texts without a token twice in a row, in which each token always sounds the same, and how long each of them lasts."""
    lens = torch.randint(num_tokens // 2, num_tokens + 1, (batch,))
    steps = torch.randint(1, num_sounds, (batch, num_tokens))
    tokens, durations = steps.cumsum(1) % num_sounds, torch.randint(1, 7, (batch, num_tokens))
    durations = durations.masked_fill(torch.arange(num_tokens) >= lens.unsqueeze(1), 0)
    sounds = torch.randn(num_sounds, 6)
    feats = [sounds[row.repeat_interleave(d)] for row, d in zip(tokens, durations, strict=True)]
    feats = torch.nn.utils.rnn.pad_sequence(feats, batch_first=True)
    return F.one_hot(tokens, num_sounds).float(), lens, feats + 0.1 * torch.randn_like(feats), durations


def test_an_aligner_that_is_trained_with_them_finds_the_durations():
    texts, token_lens, feats, durations = spoken_by_a_machine(24, 9, 5)
    frame_lens, errors = durations.sum(1), []
    aligner = TextAligner(5, 6, dim=8, temperature=0.05)
    optimizer = torch.optim.Adam(aligner.parameters(), 2e-2)
    for step in range(51):
        log_probs = aligner(texts, token_lens, feats, frame_lens)
        path = monotonic_alignment_search(log_probs, frame_lens, token_lens)
        if step in (0, 50):
            errors.append((path.sum(1).cumsum(1) - durations.cumsum(1)).abs().float().mean().item())
        loss = forward_sum(log_probs, frame_lens, token_lens) / token_lens
        if step >= 35:  # first it has to know something that can be made certain
            loss = loss + binarization(log_probs, path) / frame_lens
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    assert errors[1] < 0.5 * errors[0] < 0.5  # frames by which ends are off; at first they are where the prior has them
