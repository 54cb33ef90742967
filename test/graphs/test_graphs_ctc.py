"""The sums over CTC paths against enumeration; every kernel that runs here, in one number with the others."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from speechkit.graphs.ctc import ctc_loss

every_kernel = pytest.mark.parametrize("kernel", ["numba", "torch"])


def spelled(path, blank_id):
    return [token for token, _ in itertools.groupby(path) if token != blank_id]


def batch(dtype=torch.float64, blank_id=0):
    """Log-probabilities (5, 13, 7) and transcripts: repeats, none, as many as fit, too many, no frames."""
    generator = torch.Generator().manual_seed(3)
    log_probs = torch.randn(5, 13, 7, generator=generator, dtype=torch.float64).log_softmax(-1).to(dtype)
    tokens = torch.randint(0, 6, (5, 5), generator=generator)
    tokens[0] = torch.tensor([4, 4, 4, 1, 1])
    tokens += tokens >= blank_id  # any but the blank
    return log_probs.requires_grad_(), tokens, torch.tensor([13, 7, 5, 4, 0]), torch.tensor([5, 0, 4, 5, 2]), blank_id


def loss_and_grad(args, kernel="auto"):
    loss = ctc_loss(*args, kernel=kernel)
    (grad,) = torch.autograd.grad(loss.sum(), args[0])
    return loss.detach(), grad


@every_kernel
@pytest.mark.parametrize("blank_id", [0, 3])
@pytest.mark.parametrize("tokens", [[], [1], [2, 2], [1, 2, 1]])
def test_loss_and_gradient_are_the_sum_over_paths_and_minus_the_posterior_of_unnormalised_scores(tokens, blank_id, kernel):
    scores = torch.randn(5, 4, dtype=torch.float64).requires_grad_()
    paths = [p for p in itertools.product(range(4), repeat=5) if spelled(p, blank_id) == tokens]
    used = F.one_hot(torch.tensor(paths), 4).double()  # (paths, S, V)
    each = (used * scores.detach()).sum((1, 2))
    args = scores[None], torch.tensor([tokens], dtype=torch.int64), torch.tensor([5]), torch.tensor([len(tokens)]), blank_id
    loss = ctc_loss(*args, kernel=kernel)
    assert loss.item() == pytest.approx(-each.logsumexp(0).item(), abs=1e-12)
    (grad,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(grad, -(each.softmax(0)[:, None, None] * used).sum(0))


@every_kernel
@pytest.mark.parametrize("blank_id", [0, 4])
def test_the_gradient_is_right_in_double_precision_for_different_lengths_without_a_softmax(kernel, blank_id):
    log_probs, *rest = batch(blank_id=blank_id)
    possible = [each[[0, 1, 2]] for each in rest[:3]]
    assert torch.autograd.gradcheck(lambda x: ctc_loss(x, *possible, blank_id, kernel=kernel), log_probs[:3])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_kernels_give_the_same_numbers_and_half_precision_is_summed_in_double(dtype, tolerance):
    args = batch(dtype)
    exact = loss_and_grad([args[0].detach().double().requires_grad_(), *args[1:]], "torch")
    for kernel in ("numba", "torch"):
        loss, grad = loss_and_grad(args, kernel)
        assert loss.dtype == torch.promote_types(dtype, torch.float32) and grad.dtype == dtype
        torch.testing.assert_close(loss.double(), exact[0], rtol=min(1e-6, tolerance), atol=0)
        torch.testing.assert_close(grad.double(), exact[1], rtol=0, atol=tolerance)


@every_kernel
def test_a_batch_equals_each_utterance_alone_and_padding_is_never_read(kernel):
    log_probs, tokens, frame_lens, token_lens, blank_id = batch()
    loss, grad = loss_and_grad(batch(), kernel)
    noisy, noisy_tokens = log_probs.detach().clone(), tokens.clone()
    for b, (s, u) in enumerate(zip(frame_lens, token_lens)):
        alone = log_probs.detach()[b : b + 1, :s].requires_grad_()
        one = loss_and_grad((alone, tokens[b : b + 1, :u], s[None], u[None], blank_id), kernel)
        torch.testing.assert_close(one[0][0], loss[b])
        torch.testing.assert_close(one[1][0], grad[b, :s])
        assert grad[b, s:].eq(0).all()
        noisy[b, s:], noisy_tokens[b, u:] = math.nan, -7
    again = loss_and_grad((noisy.requires_grad_(), noisy_tokens, frame_lens, token_lens, blank_id), kernel)
    torch.testing.assert_close(again, (loss, grad), rtol=0, atol=0)


@every_kernel
def test_an_utterance_without_a_path_is_infinite_and_has_no_gradient(kernel):
    loss, grad = loss_and_grad(batch(), kernel)
    assert loss.isinf().tolist() == [False, False, False, True, True]
    assert grad[3:].eq(0).all() and grad[:3].ne(0).any((1, 2)).all()


@every_kernel
def test_minus_infinity_is_exact_where_it_leaves_a_path_open(kernel):
    log_probs, *rest = batch()
    closed, nearly = log_probs.detach().clone(), log_probs.detach().clone()
    closed[0, 2, :3], nearly[0, 2, :3] = -math.inf, -2000.0
    exact, almost = (loss_and_grad((each.requires_grad_(), *rest), kernel) for each in (closed, nearly))
    assert exact[0][0].isfinite() and exact[1].isfinite().all() and exact[1][0, 2, :3].eq(0).all()
    torch.testing.assert_close(exact, almost)


@every_kernel
@pytest.mark.parametrize("where", [(1, 4), (0, 8, 5)])
def test_nan_is_the_loss_of_its_own_utterance_only(kernel, where):
    log_probs, *rest = batch()
    loss, grad = loss_and_grad((log_probs, *rest), kernel)
    broken = log_probs.detach().clone()
    broken[where] = math.nan
    found, found_grad = loss_and_grad((broken.requires_grad_(), *rest), kernel)
    assert found[where[0]].isnan() and found_grad[where[0]].isnan().any()
    others = [b for b in range(5) if b != where[0]]
    torch.testing.assert_close((found[others], found_grad[others]), (loss[others], grad[others]), rtol=0, atol=0)


@every_kernel
def test_thousands_of_frames_of_a_sure_network_keep_every_digit(kernel):
    frames, tokens = 2000, torch.arange(1, 101)[None] % 6 + 1
    log_probs = torch.full((1, frames, 7), -300.0, dtype=torch.float64)
    log_probs[0, torch.arange(frames), 0] = 0.0
    log_probs[0, torch.arange(100) * 20 + 5, 0] = -600.0
    log_probs[0, torch.arange(100) * 20 + 5, tokens[0]] = 0.0
    # One path is free; all others lie more than 600 nats below it in every place.
    args = log_probs.requires_grad_(), tokens, torch.tensor([frames]), torch.tensor([100])
    loss, grad = loss_and_grad(args, kernel)
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    torch.testing.assert_close(-grad.sum(1)[0, 0].item(), 1900.0)


@every_kernel
def test_empty_batches_and_transcripts_and_frames_have_losses(kernel):
    none = torch.zeros(2, dtype=torch.int64)
    no_tokens = torch.zeros(2, 0, dtype=torch.int64)
    assert ctc_loss(torch.zeros(2, 3, 4).log_softmax(-1), no_tokens, none + 3, none, kernel=kernel).tolist() == (
        pytest.approx([3 * math.log(4)] * 2)
    )
    assert ctc_loss(torch.zeros(2, 0, 4), no_tokens, none, none, kernel=kernel).tolist() == [0, 0]
    assert ctc_loss(torch.zeros(0, 3, 4), no_tokens[:0], none[:0], none[:0], kernel=kernel).shape == (0,)


@pytest.mark.gpu
@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_a_gpu_gives_the_numbers_of_the_cpu(kernel):
    log_probs, *rest, blank_id = batch()
    expected = loss_and_grad((log_probs, *rest, blank_id))
    there = [each.detach().cuda() for each in (log_probs, *rest)]
    found = loss_and_grad((there[0].requires_grad_(), *there[1:], blank_id), kernel)
    torch.testing.assert_close([each.cpu() for each in found], list(expected), rtol=1e-10, atol=1e-10)
