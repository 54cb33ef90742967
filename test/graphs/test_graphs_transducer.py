"""The transducer's lattice: published values, enumeration, and the implementations against each other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from transducer_vectors import VECTORS, log_probs_of

from speechkit.graphs.transducer import cells_on_paths, forward_backward, has_path, transducer_loss

TOPOLOGIES = ["regular", "monotonic"]
every_topology = pytest.mark.parametrize("topology", TOPOLOGIES)
every_kernel = pytest.mark.parametrize("kernel", ["numba", "torch"])
FRAME_LENS, TOKEN_LENS = torch.tensor([7, 5, 7, 2]), torch.tensor([3, 0, 2, 2])


def lattice(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Log-probabilities of four utterances of up to 7 frames and 3 tokens."""
    logits = torch.randn(4, 7, 4, 5, dtype=torch.float64)
    blank, label = log_probs_of(logits, torch.randint(1, 5, (4, 3)))
    return blank.to(dtype), label.to(dtype)


def paths(num_frames: int, num_tokens: int, topology: str) -> list[list[tuple[str, int, int]]]:
    """Every path as its moves (what is emitted, frame, tokens before), by trying them all."""

    def onward(t: int, u: int) -> list[list[tuple[str, int, int]]]:
        if (t, u) == (num_frames, num_tokens):
            return [[]]
        if t == num_frames or u > num_tokens:
            return []
        after_label = onward(t, u + 1) if topology == "regular" else onward(t + 1, u + 1)
        return [[("blank", t, u), *rest] for rest in onward(t + 1, u)] + [[("label", t, u), *rest] for rest in after_label]

    return onward(0, 0)


@every_kernel
@pytest.mark.parametrize("name", VECTORS)
def test_published_losses_and_gradients(name, kernel):
    vector = VECTORS[name]
    logits = vector.logits.double().clone().requires_grad_()
    tokens = torch.tensor(vector.tokens, dtype=torch.int64)
    blank, label = log_probs_of(logits, tokens, vector.blank_id)
    blank.retain_grad(), label.retain_grad()
    losses = transducer_loss(blank, label, *vector.lens(), vector.topology, kernel=kernel)
    losses.sum().backward()
    torch.testing.assert_close(losses, losses.new_tensor(vector.losses), rtol=0, atol=vector.tolerance)
    if vector.log_prob_grad is not None:
        expected = torch.zeros(2, *blank.shape, dtype=torch.float64)
        for cell, pair in vector.log_prob_grad.items():
            expected[(slice(None), *cell)] = expected.new_tensor(pair)
        torch.testing.assert_close(blank.grad, expected[0], rtol=0, atol=vector.tolerance)
        torch.testing.assert_close(label.grad, expected[1][..., :-1], rtol=0, atol=vector.tolerance)
    if vector.logit_grad is not None:
        expected = logits.new_tensor(vector.logit_grad).view_as(logits)
        torch.testing.assert_close(logits.grad, expected, rtol=0, atol=vector.tolerance)


@every_kernel
@every_topology
def test_the_loss_and_the_occupancies_are_those_of_all_paths_enumerated(topology, kernel):
    blank, label = lattice()
    result = forward_backward(blank, label, FRAME_LENS, TOKEN_LENS, topology, kernel)
    for b, (num_frames, num_tokens) in enumerate(zip(FRAME_LENS.tolist(), TOKEN_LENS.tolist())):
        scores = {"blank": blank[b], "label": label[b]}
        sums = {name: torch.zeros_like(score) for name, score in scores.items()}
        total = 0.0
        for path in paths(num_frames, num_tokens, topology):
            probability = math.exp(sum(scores[what][t, u].item() for what, t, u in path))
            total += probability
            for what, t, u in path:
                sums[what][t, u] += probability
        assert result.log_likelihood[b].item() == pytest.approx(math.log(total), abs=1e-12)
        torch.testing.assert_close(result.blank[b], sums["blank"] / total, rtol=0, atol=1e-12)
        torch.testing.assert_close(result.label[b], sums["label"] / total, rtol=0, atol=1e-12)


@every_kernel
def test_the_number_of_paths_is_a_binomial_coefficient(kernel):
    frames, tokens, size = 11, 4, 6
    blank, label = torch.zeros(1, frames, tokens + 1, dtype=torch.float64), torch.zeros(1, frames, tokens, dtype=torch.float64)
    lens = torch.tensor([frames]), torch.tensor([tokens])
    uniform = -math.log(size)
    for topology, count, moves in (
        ("regular", math.comb(frames + tokens - 1, tokens), frames + tokens),
        ("monotonic", math.comb(frames, tokens), frames),
    ):
        free = transducer_loss(blank, label, *lens, topology, kernel=kernel)
        assert free.item() == pytest.approx(-math.log(count), abs=1e-12)
        loss = transducer_loss(blank + uniform, label + uniform, *lens, topology, kernel=kernel)
        assert loss.item() == pytest.approx(moves * math.log(size) - math.log(count), abs=1e-12)


@every_topology
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_kernels_give_the_same_numbers_on_long_lattices_with_closed_ways(topology, dtype):
    blank, label = 5 * torch.randn(3, 150, 41, dtype=dtype), 5 * torch.randn(3, 150, 40, dtype=dtype)
    blank[0, 30:33, 5:9], label[1, :, 17] = -torch.inf, -torch.inf
    label[1, 60, 17] = 0.5
    lens = torch.tensor([150, 111, 40]), torch.tensor([40, 31, 40])
    ours, theirs = (forward_backward(blank, label, *lens, topology, kernel) for kernel in ("numba", "torch"))
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 1e-6, "atol": 1e-6}
    for one, other in zip(ours, theirs):
        assert one.dtype == dtype
        torch.testing.assert_close(one, other, **tolerance)


@every_kernel
@every_topology
def test_gradients_are_right_in_double_precision(topology, kernel):
    blank, label = (each.requires_grad_() for each in lattice())
    lens = FRAME_LENS, TOKEN_LENS
    assert torch.autograd.gradcheck(lambda b, y: transducer_loss(b, y, *lens, topology, kernel=kernel), (blank, label))


@every_kernel
@every_topology
def test_an_utterance_alone_equals_itself_in_a_padded_batch(topology, kernel):
    blank, label = lattice()
    for b, (s, u) in enumerate(zip(FRAME_LENS.tolist(), TOKEN_LENS.tolist())):
        blank[b, s:], label[b, s:], blank[b, :, u + 1 :], label[b, :, u:] = torch.nan, torch.nan, torch.nan, torch.nan
    together = forward_backward(blank, label, FRAME_LENS, TOKEN_LENS, topology, kernel)
    for b, (s, u) in enumerate(zip(FRAME_LENS.tolist(), TOKEN_LENS.tolist())):
        one = slice(b, b + 1)
        lens = FRAME_LENS[one], TOKEN_LENS[one]
        alone = forward_backward(blank[one, :s, : u + 1], label[one, :s, :u], *lens, topology, kernel)
        torch.testing.assert_close(alone.log_likelihood, together.log_likelihood[one])
        torch.testing.assert_close(alone.blank, together.blank[one, :s, : u + 1])
        assert together.blank[b, s:].eq(0).all() and together.blank[b, :, u + 1 :].eq(0).all()
        assert together.label[b, s:].eq(0).all() and together.label[b, :, u:].eq(0).all()


@every_kernel
def test_without_a_path_the_loss_is_infinite_its_gradient_zero_and_the_others_untouched(kernel):
    blank, label = (each.requires_grad_() for each in lattice())
    frames, tokens = torch.tensor([7, 0, 2, 0]), torch.tensor([3, 1, 3, 0])
    for topology, possible in (("regular", [True, False, True, True]), ("monotonic", [True, False, False, True])):
        assert has_path(frames, tokens, topology).tolist() == possible
        losses = transducer_loss(blank, label, frames, tokens, topology, kernel=kernel)
        assert losses.isfinite().tolist() == possible and losses[1] == torch.inf
        assert losses[3] == 0  # nothing to say in no time: the empty path
        grads = torch.autograd.grad(losses.sum(), (blank, label))
        for grad in grads:
            assert grad.isfinite().all()
            assert all(grad[b].eq(0).all() for b in range(4) if not possible[b])
        assert grads[0][0].ne(0).any()


@every_kernel
def test_impossible_symbols_close_their_paths_and_nan_is_not_hidden(kernel):
    blank, label = lattice()
    label[0, :, 1] = -torch.inf
    blank[2, 0] = torch.nan
    losses = transducer_loss(blank, label, FRAME_LENS, TOKEN_LENS, kernel=kernel)
    assert losses[0] == torch.inf and losses[1].isfinite() and losses[2].isnan() and losses[3].isfinite()


@every_topology
def test_the_cells_on_paths_are_those_with_an_occupancy(topology):
    blank, label = lattice()
    frames = torch.tensor([7, 5, 7, 1])  # the last one has fewer frames than tokens
    result = forward_backward(blank, label, frames, TOKEN_LENS, topology)
    passed = result.blank > 0
    passed[..., :-1] |= result.label > 0
    assert torch.equal(cells_on_paths(frames, TOKEN_LENS, 7, 3, topology), passed)


@every_topology
def test_fastemit_multiplies_the_gradient_of_tokens_alone_and_not_the_value(topology):
    blank, label = (each.requires_grad_() for each in lattice())
    plain = transducer_loss(blank, label, FRAME_LENS, TOKEN_LENS, topology)
    eager = transducer_loss(blank, label, FRAME_LENS, TOKEN_LENS, topology, fastemit=0.25)
    assert torch.equal(plain, eager)
    of_plain, of_eager = (torch.autograd.grad(losses.sum(), (blank, label)) for losses in (plain, eager))
    torch.testing.assert_close(of_eager[0], of_plain[0])
    torch.testing.assert_close(of_eager[1], 1.25 * of_plain[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_scores_are_summed_in_full_precision(dtype):
    blank, label = (each.to(dtype).requires_grad_() for each in lattice())
    losses = transducer_loss(blank, label, FRAME_LENS, TOKEN_LENS)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, transducer_loss(blank.float(), label.float(), FRAME_LENS, TOKEN_LENS))
    assert torch.autograd.grad(losses.sum(), blank)[0].dtype == dtype


def test_an_unknown_topology_or_kernel_is_an_error_that_lists_them():
    blank, label = lattice()
    with pytest.raises(ValueError, match="expected regular, modified or monotonic, got 'diagonal'"):
        transducer_loss(blank, label, FRAME_LENS, TOKEN_LENS, "diagonal")
    with pytest.raises(ValueError, match="expected auto, numba, torch, triton, got 'cuda'"):
        transducer_loss(blank, label, FRAME_LENS, TOKEN_LENS, kernel="cuda")


# --- other libraries -----------------------------------------------------------------------------------------------


def random_case() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits (B, S, U + 1, V), tokens and lengths; the longest utterance fills the batch, as some libraries demand."""
    return torch.randn(3, 20, 6, 7), torch.randint(1, 7, (3, 5)), torch.tensor([20, 13, 17]), torch.tensor([5, 4, 2])


def ours(logits: Tensor, tokens: Tensor, *lens: Tensor, topology: str = "regular") -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    losses = transducer_loss(*log_probs_of(logits, tokens), *lens, topology)
    return losses.detach(), torch.autograd.grad(losses.sum(), logits)[0]


@pytest.mark.optional
@pytest.mark.parametrize("topology", ["regular", "modified"])
def test_parity_with_fast_rnnt(topology):
    fast_rnnt = pytest.importorskip("fast_rnnt")
    logits, tokens, frames, lens = random_case()
    losses, grad = ours(logits, tokens, frames, lens, topology=topology)
    logits.requires_grad_()
    boundary = torch.stack([torch.zeros_like(lens), torch.zeros_like(lens), lens, frames], 1)
    theirs = fast_rnnt.rnnt_loss(logits, tokens, 0, boundary, rnnt_type=topology, reduction="none")
    torch.testing.assert_close(losses, theirs.detach(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(grad, torch.autograd.grad(theirs.sum(), logits)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.optional
def test_parity_with_optimized_transducer():
    optimized_transducer = pytest.importorskip("optimized_transducer")
    logits, tokens, frames, lens = random_case()
    losses, grad = ours(logits, tokens, frames, lens)
    packed = torch.cat([each[:s, : u + 1].flatten(0, 1) for each, s, u in zip(logits, frames, lens)]).requires_grad_()
    theirs = optimized_transducer.transducer_loss(packed + 0, tokens.int(), frames.int(), lens.int(), blank=0, reduction="sum", from_log_softmax=False)
    torch.testing.assert_close(losses.sum(), theirs.detach().sum(), rtol=1e-5, atol=1e-4)
    theirs.sum().backward()
    mine = torch.cat([each[:s, : u + 1].flatten(0, 1) for each, s, u in zip(grad, frames, lens)])
    torch.testing.assert_close(mine, packed.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.optional
def test_parity_with_torchaudio():
    functional = pytest.importorskip("torchaudio.functional")
    logits, tokens, frames, lens = random_case()
    losses, grad = ours(logits, tokens, frames, lens)
    logits.requires_grad_()
    try:
        theirs = functional.rnnt_loss(logits, tokens.int(), frames.int(), lens.int(), blank=0, reduction="none")
    except (RuntimeError, AttributeError) as error:
        pytest.skip(f"torchaudio without its compiled extension: {error}")
    torch.testing.assert_close(losses, theirs.detach(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(grad, torch.autograd.grad(theirs.sum(), logits)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@every_topology
@pytest.mark.parametrize("kernel", ["torch", "triton"])
def test_on_a_gpu_the_numbers_are_the_same(topology, kernel):
    arguments = (*lattice(), FRAME_LENS, TOKEN_LENS)
    here = forward_backward(*arguments, topology)
    there = forward_backward(*(each.cuda() for each in arguments), topology, kernel)
    for one, other in zip(here, there):
        torch.testing.assert_close(one, other.cpu(), rtol=1e-10, atol=1e-10)
