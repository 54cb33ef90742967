"""Joiner, softmax and lattice in one operation, against the same steps one by one in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transducer_vectors import log_probs_of

from speechkit.graphs import transducer_joint
from speechkit.graphs.transducer import cells_on_paths, forward_backward, transducer_loss
from speechkit.graphs.transducer_joint import Joiner, JointOptions, joint_log_probs, joint_loss, significant

B, S, U, J, V, BLANK = 3, 11, 4, 6, 7, 2
TOKENS = torch.tensor([[1, 3, 3, 6], [0, 5, 99, -1], [4, 1, 6, 99]])
LENS = torch.tensor([11, 4, 9]), torch.tensor([4, 2, 3])
every_topology = pytest.mark.parametrize("topology", ["regular", "monotonic"])


def factors(scale: float = 1.0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Encodings, predictions, weight and bias that want gradients."""
    shapes = (B, S, J), (B, U + 1, J), (V, J), (V,)
    return [(scale * torch.randn(shape, dtype=torch.float64)).to(dtype).requires_grad_() for shape in shapes]


def step_by_step(encoded: Tensor, predicted: Tensor, weight: Tensor, bias: Tensor, topology: str = "regular") -> Tensor:
    """The losses with all logits at once."""
    logits = (encoded[:, :, None] + predicted[:, None]).tanh() @ weight.T + bias
    return transducer_loss(*log_probs_of(logits, TOKENS.clamp(0, V - 1), BLANK), *LENS, topology, kernel="torch")


def with_grads(losses: Tensor, inputs: list[Tensor], **options: bool) -> list[Tensor]:
    """Losses and the gradients of a weighted sum of them."""
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=losses.dtype)
    return [losses.detach(), *torch.autograd.grad(losses @ weights, inputs, **options)]


def assert_all_close(ours: list[Tensor], expected: list[Tensor], **tolerance: float) -> None:
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one.double(), other, **(tolerance or {"rtol": 1e-10, "atol": 1e-12}))


@every_topology
@pytest.mark.parametrize("kernel", ["numba", "torch"])
@pytest.mark.parametrize(("chunk", "cache"), [(None, 256.0), (5, 0.0), (1, 20 * V * 8 / 2**20), (1000, 0.0)])
def test_losses_and_gradients_are_those_of_the_steps_one_by_one(topology, kernel, chunk, cache):
    inputs = factors()
    losses = joint_loss(*inputs, TOKENS, *LENS, BLANK, JointOptions(topology, chunk=chunk, cache=cache, kernel=kernel))
    assert_all_close(with_grads(losses, inputs), with_grads(step_by_step(*inputs, topology), inputs))


@every_topology
def test_gradients_are_right_in_double_precision(topology):
    options = JointOptions(topology, chunk=30, cache=0.001)
    assert torch.autograd.gradcheck(
        lambda *inputs: joint_loss(*inputs, TOKENS, *LENS, BLANK, options), factors(), fast_mode=True
    )


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_single_precision_is_close_to_double_precision_also_where_exponentials_would_overflow(scale):
    inputs = factors(scale)
    inputs[2].data /= scale
    expected = with_grads(step_by_step(*inputs), inputs)
    inputs = [each.detach().float().requires_grad_() for each in inputs]
    assert (max(each.abs().max() for each in inputs[:2]) > 40) == (scale > 1)
    losses = joint_loss(*inputs, TOKENS, *LENS, BLANK)
    assert losses.dtype == torch.float32
    assert_all_close(with_grads(losses, inputs), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("cache", [0.0, 1.0])
def test_half_precision_and_autocast_give_float32_losses_close_to_the_exact_ones(dtype, cache):
    inputs, options = factors(), JointOptions(cache=cache)
    expected = with_grads(step_by_step(*inputs), inputs)
    half = [each.detach().to(dtype).requires_grad_() for each in inputs]
    losses = joint_loss(*half, TOKENS, *LENS, BLANK, options)
    grads = with_grads(losses, half)
    assert losses.dtype == torch.float32 and all(grad.dtype == dtype for grad in grads[1:])
    assert_all_close(grads, expected, rtol=0.05, atol=0.05)
    single = [each.detach().float().requires_grad_() for each in inputs]
    with torch.autocast("cpu", dtype=dtype):
        losses = joint_loss(*single, TOKENS, *LENS, BLANK, options)
    grads = with_grads(losses, single)
    assert all(each.dtype == torch.float32 for each in grads)
    assert_all_close(grads, expected, rtol=0.05, atol=0.05)


def test_the_graph_can_be_kept_and_without_one_the_losses_are_the_same():
    inputs = factors()
    losses = joint_loss(*inputs, TOKENS, *LENS, BLANK)
    first = with_grads(losses, inputs, retain_graph=True)
    assert_all_close(with_grads(losses, inputs), first)
    with torch.no_grad():
        assert torch.equal(joint_loss(*inputs, TOKENS, *LENS, BLANK), losses)


@every_topology
def test_only_cells_on_paths_are_computed_and_no_more_of_them_at_once_than_a_chunk(topology, monkeypatch):
    computed, plain = [], Joiner.log_probs

    def watched(self, hidden, out=None):
        computed.append(len(hidden))
        return plain(self, hidden, out)

    monkeypatch.setattr(Joiner, "log_probs", watched)
    inputs = factors()
    loss = joint_loss(*inputs, TOKENS, *LENS, BLANK, JointOptions(topology, chunk=8, cache=0.0)).sum()
    cells = int(cells_on_paths(*LENS, S, U, topology).sum())
    assert cells == (11 * 5 + 4 * 3 + 9 * 4 if topology == "regular" else (8 * 5 - 1) + (3 * 3 - 1) + (7 * 4 - 1))
    assert sum(computed) == cells and max(computed) <= 8
    loss.backward()
    assert sum(computed) == 2 * cells and max(computed) <= 8
    computed.clear()
    joint_loss(*inputs, TOKENS, *LENS, BLANK, JointOptions(topology, chunk=8)).sum().backward()
    assert sum(computed) == cells  # kept, not computed again


def test_what_is_left_out_of_the_gradient_is_bounded_by_its_occupancy_and_by_default_lost_in_rounding():
    torch.manual_seed(1)
    frames, tokens = 120, 30
    lens = torch.tensor([frames]), torch.tensor([tokens])
    inputs = [torch.randn(1, frames, J), torch.randn(1, tokens + 1, J), torch.randn(V, J), torch.randn(V)]
    inputs = [each.requires_grad_() for each in inputs]
    target = torch.randint(3, V, (1, tokens))

    def grads(neglect: float | None) -> list[Tensor]:
        loss = joint_loss(*inputs, target, *lens, BLANK, JointOptions(neglect=neglect))
        return torch.autograd.grad(loss.sum(), inputs)

    everything, default, rough = grads(0.0), grads(None), grads(0.01)
    with torch.no_grad():
        passed = forward_backward(*joint_log_probs(*inputs, target, *lens, BLANK), *lens)
    passed = passed.blank + torch.nn.functional.pad(passed.label, (0, 1))
    assert passed.sum(2).min() > 0.999
    neglected = ~significant(passed, 2**-24)
    assert neglected.float().mean() > 0.3  # else this test would say nothing
    left_out = passed.where(neglected, 0.0)
    assert left_out.sum(1).max() < 2**-24 and left_out.sum(2).max() < 2**-24
    for one, other in zip(default, everything):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6 * other.abs().max().item())
    left_out = passed.where(~significant(passed, 0.01), 0.0)
    assert 0.001 < (rough[3] - everything[3]).abs().sum() <= 2 * left_out.sum()


def test_significant_cells_are_all_but_the_least_and_nan_is_one_of_them():
    occupancy = torch.tensor([[[0.7, 0.2, 0.06, 0.0], [0.1, 0.05, torch.nan, 0.9], [0.0, 0.04, 0.3, 0.66]]])
    assert significant(occupancy, 0.1)[0].int().tolist() == [[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 1, 1]]
    assert torch.equal(significant(occupancy, 0.0), occupancy != 0)


def test_fastemit_scales_the_gradient_that_comes_through_the_tokens():
    inputs = factors()
    logits = (inputs[0][:, :, None] + inputs[1][:, None]).tanh() @ inputs[2].T + inputs[3]
    expected = transducer_loss(*log_probs_of(logits, TOKENS.clamp(0, V - 1), BLANK), *LENS, fastemit=0.3)
    losses = joint_loss(*inputs, TOKENS, *LENS, BLANK, JointOptions(fastemit=0.3))
    assert_all_close(with_grads(losses, inputs), with_grads(expected, inputs))


@every_topology
def test_chosen_cells_are_all_that_paths_may_pass(topology):
    inputs, chosen = factors(), torch.rand(B, S, U + 1) < 0.8
    chosen[1] = False
    chosen[0] |= torch.eye(S, U + 1).bool() | (torch.arange(U + 1) == U)
    options = JointOptions(topology)
    with torch.no_grad():
        blank, label = joint_log_probs(*inputs, TOKENS, *LENS, BLANK, options)
    blank, label = blank.where(chosen, -torch.inf), label.where(chosen[..., :-1], -torch.inf)
    losses = joint_loss(*inputs, TOKENS, *LENS, BLANK, options, chosen)
    assert torch.equal(losses, transducer_loss(blank, label, *LENS, topology))
    assert losses[0].isfinite() and losses[1] == torch.inf
    grads = torch.autograd.grad(losses[:2].sum(), inputs)
    assert all(grad.isfinite().all() for grad in grads) and grads[0][1].eq(0).all() and grads[0][0].ne(0).any()


@every_topology
def test_without_a_path_the_loss_is_infinite_its_gradient_zero_and_the_others_untouched(topology):
    inputs = factors()
    lens = torch.tensor([11, 0, 2]), torch.tensor([4, 2, 3])
    losses = joint_loss(*inputs, TOKENS, *lens, BLANK, JointOptions(topology))
    assert losses.isfinite().tolist() == [True, False, topology == "regular"]
    grads = torch.autograd.grad(losses.sum(), inputs)
    alone = torch.autograd.grad(losses.new_zeros(()) + joint_loss(
        *(each[:1] for each in inputs[:2]), *inputs[2:], TOKENS[:1], *(each[:1] for each in lens), BLANK, JointOptions(topology)
    ).sum(), inputs)  # fmt: skip
    torch.testing.assert_close(grads[0][0], alone[0][0])
    assert grads[0][1].eq(0).all() and all(grad.isfinite().all() for grad in grads)


def test_a_batch_without_any_cell_has_a_loss():
    inputs = factors()
    nothing = torch.zeros(B, dtype=torch.int64)
    losses = joint_loss(*inputs, TOKENS, nothing, nothing, BLANK)
    assert losses.tolist() == [0, 0, 0]
    assert all(grad.eq(0).all() for grad in torch.autograd.grad(losses.sum(), inputs))


def test_nan_is_not_hidden():
    inputs = factors()
    inputs[0].data[0, 3] = torch.nan
    losses = joint_loss(*inputs, TOKENS, *LENS, BLANK)
    assert losses[0].isnan() and losses[1:].isfinite().all()
    assert torch.autograd.grad(losses.sum(), inputs)[2].isnan().any()


def test_the_log_probs_are_those_of_the_lattice():
    inputs = factors()
    blank, label = joint_log_probs(*inputs, TOKENS, *LENS, BLANK)
    torch.testing.assert_close(transducer_loss(blank, label, *LENS), step_by_step(*inputs).detach())
    assert transducer_joint.LOGITS_PER_CHUNK["cpu"] // V > S * (U + 1)
