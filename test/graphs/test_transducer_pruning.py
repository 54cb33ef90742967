"""The simple joiner and the windows that it finds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from transducer_vectors import AM, LM, VECTORS, log_probs_of

from speechkit.graphs.transducer import Occupancies, forward_backward, transducer_loss
from speechkit.graphs.transducer_pruning import choose_cells, place_windows, simple_log_probs

every_topology = pytest.mark.parametrize("topology", ["regular", "monotonic"])


@pytest.mark.parametrize("name", ["k2_regular", "k2_modified"])
def test_the_simple_joiner_has_the_published_losses(name):
    vector = VECTORS[name]
    tokens = torch.tensor(vector.tokens)
    for shift in (0.0, 7.0):  # a constant per frame and per position changes nothing
        am, lm = AM[None] + shift * torch.randn(1, 4, 1), LM[None] + shift * torch.randn(1, 4, 1)
        log_probs = simple_log_probs(am, lm, tokens, torch.tensor([3]), vector.blank_id)
        losses = transducer_loss(*log_probs, *vector.lens(), vector.topology)
        assert losses.tolist() == pytest.approx(vector.losses, abs=1e-6)


def test_it_is_the_softmax_of_sums_with_its_gradient():
    am, lm = (torch.randn(2, n, 5, dtype=torch.float64, requires_grad=True) for n in (6, 4))
    tokens, lens = torch.randint(1, 5, (2, 3)), torch.tensor([3, 2])
    for ours, expected in zip(
        simple_log_probs(am, lm, tokens, lens), log_probs_of(am[:, :, None] + lm[:, None], tokens), strict=True
    ):
        torch.testing.assert_close(ours, expected)
    assert torch.autograd.gradcheck(lambda a, b: simple_log_probs(a, b, tokens, lens, 0, 0.25, 0.125), (am, lm), fast_mode=True)


def test_halves_that_are_sharp_and_disagree_do_not_underflow():
    am, lm = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    am[0, 0, 1], lm[0, 0, 2] = 200.0, 199.0
    am.requires_grad_(), lm.requires_grad_()
    blank, label = simple_log_probs(am, lm, torch.tensor([[2]]), torch.tensor([1]))
    expected = (am[:, :, None] + lm[:, None]).log_softmax(-1)
    torch.testing.assert_close(blank, expected[..., 0])
    torch.testing.assert_close(label, expected[:, :, :1, 2])
    ours = torch.autograd.grad(blank.sum() + label.sum(), (am, lm), retain_graph=True)
    theirs = torch.autograd.grad(expected[..., 0].sum() + expected[:, :, 0, 2].sum(), (am, lm))
    torch.testing.assert_close(ours, theirs)


def test_smoothing_mixes_in_each_half_alone():
    am, lm = torch.randn(2, 6, 5, dtype=torch.float64), torch.randn(2, 4, 5, dtype=torch.float64)
    tokens, lens = torch.randint(1, 5, (2, 3)), torch.tensor([3, 1])
    plain = simple_log_probs(am, lm, tokens, lens)
    smooth = simple_log_probs(am, lm, tokens, lens, 0, 0.25, 0.125)
    for b in range(2):
        prior = lm[b, : lens[b] + 1].softmax(1).mean(0)
        am_only = (am[b].softmax(1) * prior / (am[b].softmax(1) @ prior)[:, None]).log()
        lm_only = lm[b].log_softmax(1)
        for t, u in itertools.product(range(6), range(4)):
            expected = 0.625 * plain[0][b, t, u] + 0.25 * lm_only[u, 0] + 0.125 * am_only[t, 0]
            torch.testing.assert_close(smooth[0][b, t, u], expected)
            if u < 3:
                token = tokens[b, u]
                expected = 0.625 * plain[1][b, t, u] + 0.25 * lm_only[u, token] + 0.125 * am_only[t, token]
                torch.testing.assert_close(smooth[1][b, t, u], expected)


def lattice(num_frames, num_tokens, topology):
    """Log-probabilities of one utterance and its occupancies, sharp enough for windows to matter."""
    blank, label = (3 * torch.randn(1, num_frames, n, dtype=torch.float64) for n in (num_tokens + 1, num_tokens))
    lens = torch.tensor([num_frames]), torch.tensor([num_tokens])
    return blank, label, lens, forward_backward(blank, label, *lens, topology)


@every_topology
def test_windows_are_the_best_of_all_sequences_that_keep_the_rules(topology):
    width, positions = 3, 4
    random = np.random.default_rng(0)
    for _ in range(10):
        blank, label = random.random((5, 6)) ** 4, random.random((5, 5)) ** 4

        def worth(sequence, blank=blank, label=label):
            occupancy = blank + np.pad(label, ((0, 0), (0, 1)))
            return math.prod(row[p : p + width].sum() / row.sum() for row, p in zip(occupancy, sequence))

        step = width - 1 if topology == "regular" else 1
        sequences = [
            s for s in itertools.product(range(positions), repeat=5)
            if s[0] == 0 and s[-1] == positions - 1 and all(0 <= b - a <= step for a, b in itertools.pairwise(s))
        ]  # fmt: skip
        starts, used = place_windows(blank, label, width, topology)
        assert used == width and tuple(starts) in sequences
        assert worth(starts) == pytest.approx(max(map(worth, sequences)), abs=1e-12)


@every_topology
def test_some_path_lies_in_the_windows_however_short_the_utterance_and_pruning_never_gains(topology):
    for num_frames, num_tokens, prune_range in itertools.product((1, 2, 3, 5, 8), (0, 1, 2, 5, 8), (2, 3, 9)):
        blank, label, lens, occupancies = lattice(num_frames, num_tokens, topology)
        chosen = choose_cells(occupancies, *lens, prune_range, topology)
        pruned = transducer_loss(blank.where(chosen, -torch.inf), label.where(chosen[..., :-1], -torch.inf), *lens, topology)
        full = transducer_loss(blank, label, *lens, topology)
        assert pruned.isfinite() == full.isfinite()
        if full.isfinite():
            assert pruned >= full - 1e-12
            if prune_range > num_tokens:
                assert chosen.all() and pruned == full


def test_each_utterance_of_a_batch_gets_its_own_windows():
    blank, label = 3 * torch.randn(3, 9, 7), 3 * torch.randn(3, 9, 6)
    lens = torch.tensor([9, 6, 0]), torch.tensor([6, 3, 2])
    occupancies = forward_backward(blank, label, *lens)
    together = choose_cells(occupancies, *lens, 3)
    assert together[0].sum(1).tolist() == [3] * 9 and not together[2].any()
    for b, (s, u) in enumerate(zip(*(each.tolist() for each in lens))):
        one = slice(b, b + 1)
        alone = Occupancies(occupancies[0][one], occupancies[1][one, :s, : u + 1], occupancies[2][one, :s, :u])
        assert torch.equal(choose_cells(alone, *(each[one] for each in lens), 3), together[one, :s, : u + 1])
        assert not together[b, s:].any() and not together[b, :, u + 1 :].any()


def test_the_windows_retain_nearly_all_of_a_sharp_lattice():
    frames, tokens = 60, 20
    label = torch.full((1, frames, tokens), -9.0)
    for u in range(tokens):
        label[0, 3 * u, u] = -0.1
    lens = torch.tensor([frames]), torch.tensor([tokens])
    blank = torch.full((1, frames, tokens + 1), -0.5)
    chosen = choose_cells(forward_backward(blank, label, *lens), *lens, 3)
    closed = blank.where(chosen, -torch.inf), label.where(chosen[..., :-1], -torch.inf)
    assert transducer_loss(*closed, *lens) - transducer_loss(blank, label, *lens) < 0.01


@pytest.mark.optional
@pytest.mark.parametrize("topology", ["regular", "modified"])
def test_parity_with_fast_rnnt(topology):
    fast_rnnt = pytest.importorskip("fast_rnnt")
    am, lm, tokens = torch.randn(1, 30, 7), torch.randn(1, 9, 7), torch.randint(1, 7, (1, 8))
    lens = torch.tensor([30]), torch.tensor([8])
    boundary = torch.tensor([[0, 0, 8, 30]])
    theirs, (px_grad, py_grad) = fast_rnnt.rnnt_loss_smoothed(
        lm, am, tokens, 0, 0.25, 0.125, boundary, rnnt_type=topology, reduction="none", return_grad=True
    )
    blank, label = simple_log_probs(am, lm, tokens, lens[1], 0, 0.25, 0.125)
    torch.testing.assert_close(transducer_loss(blank, label, *lens, topology), theirs, rtol=1e-5, atol=1e-4)
    occupancies = forward_backward(blank, label, *lens, topology)
    torch.testing.assert_close(occupancies.blank, py_grad.transpose(1, 2), rtol=1e-4, atol=1e-4)

    ranges = fast_rnnt.get_rnnt_prune_ranges(px_grad, py_grad, boundary, 4)
    logits = torch.stack(fast_rnnt.do_rnnt_pruning(am, lm, ranges)).sum(0)
    theirs = fast_rnnt.rnnt_loss_pruned(logits, tokens, ranges, 0, boundary, rnnt_type=topology, reduction="none")
    blank, label = simple_log_probs(am, lm, tokens, lens[1])

    def pruned(chosen):
        return transducer_loss(blank.where(chosen, -torch.inf), label.where(chosen[..., :-1], -torch.inf), *lens, topology)

    theirs_chosen = torch.zeros(1, 30, 9, dtype=torch.bool).scatter_(2, ranges, True)
    torch.testing.assert_close(pruned(theirs_chosen), theirs, rtol=1e-5, atol=1e-4)
    ours = pruned(choose_cells(occupancies, *lens, 4, topology))
    assert np.isclose(ours, theirs, rtol=0.01)  # windows differ, and the better ones for one lattice are not so for another
