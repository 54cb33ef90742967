"""CTC against enumeration of all paths, closed forms, published values, and torch's own kernel."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from speechkit.data.batch import Targets
from speechkit.objectives.ctc import CtcObjective, torch_ctc_loss
from speechkit.text.vocabulary import Vocabulary


def log_softmax(encoder_out):
    """A decoder for tests: the encoder output holds the logits."""
    return encoder_out.log_softmax(-1)


every_kernel = pytest.mark.parametrize("kernel", ["own", "torch"])


def ctc(logits, tokens, blank_id=0, kernel="own"):
    """Loss (nats) of one utterance."""
    objective = CtcObjective.Config(kernel=kernel).build(vocabulary=Vocabulary(logits.shape[-1], blank_id))
    lens, token_lens = torch.tensor([len(logits)]), torch.tensor([len(tokens)])
    ids = torch.tensor(tokens, dtype=torch.int64).unsqueeze(0)
    return objective(log_softmax, logits.unsqueeze(0), lens, Targets(ids, token_lens))[0]


def spelled(path, blank_id=0):
    return tuple(token for token, _ in itertools.groupby(path) if token != blank_id)


def paths_of(tokens, num_frames, vocab_size, blank_id=0):
    every = itertools.product(range(vocab_size), repeat=num_frames)
    return [path for path in every if spelled(path, blank_id) == tuple(tokens)]


# --- all paths ----------------------------------------------------------------------------------------------------


@every_kernel
@pytest.mark.parametrize("blank_id", [0, 2])
@pytest.mark.parametrize("tokens", [[], [1], [3, 3], [1, 3, 1], [1, 1, 3, 3]])
def test_the_loss_sums_the_probability_of_every_path_that_spells_the_transcript(tokens, blank_id, kernel):
    logits = torch.randn(6, 4, dtype=torch.float64)
    log_probs = logits.log_softmax(-1)
    scores = [sum(log_probs[t, k] for t, k in enumerate(path)) for path in paths_of(tokens, 6, 4, blank_id)]
    torch.testing.assert_close(ctc(logits, tokens, blank_id, kernel=kernel), -torch.stack(scores).logsumexp(0))


@every_kernel
def test_the_gradient_is_the_softmax_less_the_posterior_of_each_token_in_each_frame(kernel):
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(ctc(logits, [2, 2], kernel=kernel), logits)
    probs = logits.detach().softmax(-1)
    occupancy, total = torch.zeros(5, 3, dtype=torch.float64), 0.0
    for path in paths_of([2, 2], 5, 3):
        weight = math.prod(probs[t, k].item() for t, k in enumerate(path))
        total += weight
        occupancy += weight * F.one_hot(torch.tensor(path), 3)
    torch.testing.assert_close(grad, probs - occupancy / total)


@every_kernel
def test_the_probabilities_of_all_transcripts_sum_to_one(kernel):
    logits = torch.randn(4, 3, dtype=torch.float64)
    transcripts = {spelled(path) for path in itertools.product(range(3), repeat=4)}
    assert sum(math.exp(-ctc(logits, list(tokens), kernel=kernel)) for tokens in transcripts) == pytest.approx(1.0, abs=1e-12)


@every_kernel
def test_every_frame_being_uniform_the_loss_counts_paths(kernel):
    frames, vocab_size, tokens, repeats = 17, 5, [1, 1, 4, 3, 3], 2
    paths = math.comb(frames + len(tokens) - repeats, 2 * len(tokens))
    loss = ctc(torch.zeros(frames, vocab_size, dtype=torch.float64), tokens, kernel=kernel)
    assert loss.item() == pytest.approx(frames * math.log(vocab_size) - math.log(paths), abs=1e-10)


@every_kernel
def test_an_empty_transcript_costs_a_blank_in_every_frame(kernel):
    logits = torch.randn(17, 5, dtype=torch.float64)
    torch.testing.assert_close(ctc(logits, [], kernel=kernel), -logits.log_softmax(-1)[:, 0].sum())


def test_a_long_batch_equals_torch():
    logits, lens = torch.randn(3, 67, 11), torch.tensor([67, 41, 59])
    tokens, token_lens = torch.randint(1, 11, (3, 13)), torch.tensor([13, 7, 0])
    loss = CtcObjective.Config().build(vocabulary=Vocabulary(11))(log_softmax, logits, lens, Targets(tokens, token_lens))
    for b in range(3):
        log_probs = logits[b, : lens[b]].double().log_softmax(-1)
        single = F.ctc_loss(log_probs, tokens[b, : token_lens[b]], lens[b], token_lens[b], reduction="none")
        assert loss[b].item() == pytest.approx(single.item(), rel=1e-5)


def test_log_probs_in_half_precision_are_summed_in_float32():
    objective, logits = CtcObjective.Config().build(vocabulary=Vocabulary(5)), torch.randn(1, 67, 5)
    facts = torch.tensor([67]), Targets(torch.tensor([[1, 1, 4]]), torch.tensor([3]))
    half = objective(lambda x: x.log_softmax(-1).bfloat16(), logits, *facts)
    assert half.dtype == torch.float32
    rounded = objective(lambda x: x.log_softmax(-1).bfloat16().double(), logits, *facts)
    torch.testing.assert_close(half.double(), rounded, rtol=1e-5, atol=0)


# --- published values ---------------------------------------------------------------------------------------------

# k2-fsa/k2, k2/python/tests/ctc_loss_test.py, cases 1 to 3 (made with warp-ctc); several alignments each.
K2 = [
    ([[0.2] * 5], [1], 1.6094379425049),
    ([[1.0, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13, 14, 15]], [3, 3], 7.355742931366),
    ([[-5.0, -4, -3, -2, -1], [-10, -9, -8, -7, -6], [-15, -14, -13, -12, -11]], [2, 3], 4.938850402832),
]
# tensorflow/tensorflow, kernel_tests/nn_ops/ctc_loss_op_test.py (blank last), with losses as printed in
# facebookresearch/gtn, bindings/python/test/test_criterions.py. One alignment each, so the gradient with respect to the
# logits is the probability, less 1 where the alignment passes.
TENSORFLOW = [
    (
        """0.633766  0.221185 0.0917319 0.0129757  0.0142857  0.0260553
           0.111121  0.588392 0.278779  0.0055756  0.00569609 0.010436
           0.0357786 0.633813 0.321418  0.00249248 0.00272882 0.0037688
           0.0663296 0.643849 0.280111  0.00283995 0.0035545  0.00331533
           0.458235  0.396634 0.123377  0.00648837 0.00903441 0.00623107""",
        [0, 1, 2, 1, 0],
        [0, 1, 2, 1, 0],
        3.34211,
    ),
    (
        """0.30176  0.28562  0.0831517 0.0862751 0.0816851 0.161508
           0.24082  0.397533 0.0557226 0.0546814 0.0557528 0.19549
           0.230246 0.450868 0.0389607 0.038309  0.0391602 0.202456
           0.280884 0.429522 0.0326593 0.0339046 0.0326856 0.190345
           0.423286 0.315517 0.0338439 0.0393744 0.0339315 0.154046""",
        [0, 1, 1, 0],
        [0, 1, 5, 1, 0],
        5.42262,
    ),
]


@every_kernel
@pytest.mark.parametrize(("logits", "tokens", "loss"), K2)
def test_published_losses_of_k2(logits, tokens, loss, kernel):
    assert ctc(torch.tensor(logits), tokens, kernel=kernel).item() == pytest.approx(loss, rel=1e-6)


@every_kernel
@pytest.mark.parametrize(("probs", "tokens", "path", "loss"), TENSORFLOW)
def test_published_losses_and_gradients_of_tensorflow(probs, tokens, path, loss, kernel):
    probs = torch.tensor([float(number) for number in probs.split()]).view(5, 6)
    logits = probs.log().requires_grad_()
    found = ctc(logits, tokens, blank_id=5, kernel=kernel)
    assert found.item() == pytest.approx(loss, abs=5e-5)
    (grad,) = torch.autograd.grad(found, logits)
    torch.testing.assert_close(grad, probs - F.one_hot(torch.tensor(path), 6), rtol=0, atol=1e-5)


@every_kernel
def test_published_loss_of_five_paths(kernel):
    # flashlight CriterionTest.cpp, gtn test_criterions.py: 4 equal tokens, 3 frames, blank last.
    assert ctc(torch.zeros(3, 4), [1, 2], blank_id=3, kernel=kernel).item() == pytest.approx(-math.log(0.25**3 * 5), rel=1e-6)


# --- utterances without a path ------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_frames", range(6))
@pytest.mark.parametrize("tokens", [[], [1], [1, 1], [1, 2, 1], [2, 2, 2]])
def test_alignable_means_that_a_path_exists(num_frames, tokens):
    objective = CtcObjective.Config().build(vocabulary=Vocabulary(3))
    ids = torch.tensor([[*tokens, 2, 2]])  # padding that would be repeats if it were read
    found = objective.alignable(torch.tensor([num_frames]), Targets(ids, torch.tensor([len(tokens)])))
    assert found.tolist() == [bool(paths_of(tokens, num_frames, 3))]


@every_kernel
@pytest.mark.parametrize("seed", range(10))
def test_random_batches_with_impossible_utterances_stay_finite_and_equal_the_possible_ones_alone(seed, kernel):
    generator = torch.Generator().manual_seed(seed)
    objective = CtcObjective.Config(kernel=kernel).build(vocabulary=Vocabulary(4))
    logits = torch.randn(7, 9, 4, generator=generator).double().requires_grad_()
    lens = torch.randint(0, 10, (7,), generator=generator)
    tokens = torch.randint(1, 4, (7, 8), generator=generator)
    token_lens = torch.randint(0, 9, (7,), generator=generator)
    alignable = objective.alignable(lens, Targets(tokens, token_lens))
    loss = objective(log_softmax, logits, lens, Targets(tokens, token_lens))
    (grad,) = torch.autograd.grad(loss.sum(), logits)
    assert loss.isfinite().all() and grad.isfinite().all()
    assert loss[~alignable].eq(0).all() and grad[~alignable].eq(0).all()
    kept = logits.detach()[alignable].requires_grad_()
    possible = tokens[alignable], lens[alignable], token_lens[alignable]
    alone = F.ctc_loss(kept.log_softmax(-1).transpose(0, 1), *possible, reduction="none")
    torch.testing.assert_close(loss[alignable], alone)
    torch.testing.assert_close(grad[alignable], torch.autograd.grad(alone.sum(), kept)[0])


@every_kernel
def test_a_path_that_minus_infinity_closes_is_an_infinite_loss_that_teaches_nothing(kernel):
    logits = torch.zeros(2, 3, 4, dtype=torch.float64)
    logits[0, :, 2] = -math.inf
    logits.requires_grad_()
    objective = CtcObjective.Config(kernel=kernel).build(vocabulary=Vocabulary(4))
    targets = Targets(torch.tensor([[1, 2], [1, 2]]), torch.tensor([2, 2]))
    loss = objective(log_softmax, logits, torch.tensor([3, 3]), targets)
    (grad,) = torch.autograd.grad(loss.sum(), logits)
    assert loss[0] == math.inf and loss[1].item() == pytest.approx(-math.log(0.25**3 * 5))
    assert grad[0].eq(0).all() and grad[1].isfinite().all() and grad[1].ne(0).any()


def test_the_kernel_of_torch_is_torch():
    logits, lens = torch.randn(3, 17, 5).requires_grad_(), torch.tensor([17, 11, 13])
    facts = torch.randint(1, 5, (3, 4)), lens, torch.tensor([4, 2, 3])
    found = torch_ctc_loss(logits.log_softmax(-1), *facts)
    expected = F.ctc_loss(logits.log_softmax(-1).transpose(0, 1), *facts, reduction="none")
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    grads = [torch.autograd.grad(each.sum(), logits)[0] for each in (found, expected)]
    torch.testing.assert_close(*grads, rtol=0, atol=0)


@every_kernel
def test_a_network_that_gives_nan_is_not_hidden(kernel):
    logits = torch.full((3, 4), math.nan)
    assert ctc(logits, [1], kernel=kernel).isnan()


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0, 5, -1])
def test_a_token_outside_the_vocabulary_is_named_before_the_kernel_reads_by_it(wrong):
    objective = CtcObjective.Config().build(vocabulary=Vocabulary(5))
    tokens = torch.tensor([[1, 2, 3], [1, wrong, 0]])
    with pytest.raises(ValueError, match=rf"utterance 1 .* got {wrong} at place 1; use the tokenizer"):
        objective(log_softmax, torch.randn(2, 7, 5), torch.tensor([7, 7]), Targets(tokens, torch.tensor([3, 2])))
