"""Every kernel against all paths one by one, against each other, and against a published value."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from graph_cases import NEVER, TOY_TOTAL, graph, log_sum, path_scores, random_graph, toy

from speechkit.graphs.forward_backward import TotalScore, total_score_of_each
from speechkit.graphs.label_graph import TOPOLOGIES, label_graphs

KERNELS = ("numba", "torch", "dense")
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
LENS = torch.tensor([4, 2, 3, 1, 0])


def batch(seed: int = 0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, 4, 4, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


@functools.cache
def all_paths(seed: int) -> list[float]:
    """Of :func:`random_graph` through :func:`batch`, by enumeration."""
    return [log_sum(path_scores(random_graph(seed), batch(seed)[b, :length])) for b, length in enumerate(LENS.tolist())]


@every_kernel
@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5])
def test_the_total_sums_over_all_paths_and_the_gradient_is_right(kernel, seed):
    scores, expected = batch(seed), all_paths(seed)
    total = TotalScore(random_graph(seed), kernel)
    torch.testing.assert_close(total(scores, LENS), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-10)
    if seed < 2:
        possible = torch.tensor(expected) > NEVER
        assert torch.autograd.gradcheck(lambda x: total(x[:, :, :3], LENS)[possible], scores)


@every_kernel
def test_the_published_toy_graph(kernel):
    found, log_probs = toy()
    assert TotalScore(found, kernel)(log_probs, torch.tensor([5])).item() == pytest.approx(TOY_TOTAL, abs=1e-12)


@every_kernel
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_long_utterances_equal_sums_of_logarithms(kernel, dtype, tolerance):
    arcs = random_graph(7, num_states=11, num_arcs=80, size=5)
    generator = torch.Generator().manual_seed(0)
    scores = (5 * torch.randn(6, 100, 5, generator=generator)).to(dtype).requires_grad_()
    lens = torch.tensor([100, 61, 17, 1, 0, 99])
    total = TotalScore(arcs, kernel)(scores, lens)
    (grad,) = torch.autograd.grad(total.sum(), scores)
    assert total.dtype == grad.dtype == dtype
    alphas = torch.from_numpy(arcs.initial)  # one utterance, forward, arc by arc
    for t in range(61):
        alphas = torch.stack([*_epsilon_closed(arcs, alphas)])
        moves = alphas[arcs.sources] + torch.from_numpy(arcs.weights) + scores[1, t].double()[arcs.labels.clip(0)].detach()
        entering = [torch.from_numpy((arcs.targets == q) & (arcs.labels >= 0)) for q in range(11)]
        alphas = torch.stack([moves[each].logsumexp(0) for each in entering])
    alphas = torch.stack([*_epsilon_closed(arcs, alphas)])
    expected = (alphas + torch.from_numpy(arcs.final)).logsumexp(0).item()
    assert total[1].item() == pytest.approx(expected, rel=tolerance)
    assert (grad.sum(2) - (torch.arange(100) < lens[:, None]).to(dtype)).abs().max() < tolerance
    if kernel != "numba":
        other = TotalScore(arcs, "numba")(scores, lens)
        torch.testing.assert_close(total, other, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(grad, torch.autograd.grad(other.sum(), scores)[0], rtol=tolerance, atol=tolerance)


def _epsilon_closed(arcs, alphas):
    alphas = list(alphas)
    for source, target, label, weight in sorted(zip(arcs.sources, arcs.targets, arcs.labels, arcs.weights)):
        if label < 0:
            alphas[target] = torch.logaddexp(alphas[target], alphas[source] + weight)
    return alphas


@every_kernel
def test_utterances_do_not_depend_on_each_other_or_on_what_lies_behind_them(kernel):
    total, scores = TotalScore(random_graph(1), kernel), batch()
    together = total(scores, LENS)
    (grad,) = torch.autograd.grad(together[[0, 1, 2]].sum(), scores)
    with torch.no_grad():
        for b, length in enumerate(LENS.tolist()):
            scores[b, length:] = math.nan
    torch.testing.assert_close(total(scores, LENS), together, rtol=0, atol=1e-12)
    (noisy_grad,) = torch.autograd.grad(total(scores, LENS)[[0, 1, 2]].sum(), scores)
    torch.testing.assert_close(noisy_grad, grad, rtol=0, atol=1e-12)
    for b, length in enumerate(LENS.tolist()):
        alone = total(scores[b : b + 1, :length], LENS[b : b + 1])
        torch.testing.assert_close(alone[0], together[b], rtol=0, atol=1e-12)


@every_kernel
def test_an_utterance_without_a_path_has_minus_infinity_and_no_gradient(kernel):
    total = TotalScore(graph([(0, 1, 1, 0.0), (1, 2, 2, 0.0)], [0.0, NEVER, NEVER], [NEVER, NEVER, 0.0]), kernel)
    scores = torch.randn(4, 3, 3, dtype=torch.float64)
    scores[3, 0, 1] = NEVER
    scores.requires_grad_()
    found = total(scores, torch.tensor([2, 3, 0, 2]))
    (grad,) = torch.autograd.grad(found.sum(), scores)
    torch.testing.assert_close(found[0], scores[0, 0, 1] + scores[0, 1, 2])
    assert found[1:].tolist() == [NEVER] * 3
    assert grad.nonzero().tolist() == [[0, 0, 1], [0, 1, 2]]


@every_kernel
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_score_makes_the_total_of_its_utterance_nan(kernel, wrong):
    total, scores = TotalScore(random_graph(1), kernel), batch().detach()
    expected = total(scores, LENS)
    scores[1, 1, 3] = wrong  # of a label that the graph does not have
    scores.requires_grad_()
    found = total(scores, LENS)
    (grad,) = torch.autograd.grad(found[1], scores)
    assert found[1].isnan() and found[[0, 2, 3, 4]].equal(expected[[0, 2, 3, 4]])
    assert grad[1, :2].isnan().all() and grad[[0, 2]].eq(0).all()


@every_kernel
@pytest.mark.parametrize("dead_end", [0.0, NEVER])
@pytest.mark.parametrize("more", [[], [(0, 0, 3, 0.0), (1, 1, 3, 0.0), (2, 2, 3, 0.0)]], ids=["nodes", "arcs"])
def test_scores_of_minus_infinity_and_numbers_far_below_the_others_are_summed_exactly(kernel, dead_end, more):
    """The frames of the paths have probability exp(-4000), where those of another that ends nowhere have 1."""
    arcs = [(0, 0, 0, 0.0), (0, 1, 1, -900.0), (1, 1, 1, 0.0), (1, 2, 2, 700.0), *more]
    total = TotalScore(graph(arcs, [0.0, NEVER, NEVER], [NEVER, NEVER, 0.0]), kernel)
    low = -4000.0
    scores = [[0.0, low, low, NEVER], [0.0, low, NEVER, NEVER], [dead_end, low, low, NEVER]]
    scores = torch.tensor([scores], dtype=torch.float64, requires_grad=True)
    found = total(scores, torch.tensor([3]))
    assert found.item() == pytest.approx(log_sum([3 * low - 200.0, 2 * low - 200.0]), rel=1e-12)
    (grad,) = torch.autograd.grad(found.sum(), scores)
    torch.testing.assert_close(grad[0].argmax(1), torch.tensor([0, 1, 2]))
    torch.testing.assert_close(grad[0].sum(1), torch.ones(3, dtype=torch.float64))


@every_kernel
def test_a_path_that_falls_behind_little_by_little_is_not_lost(kernel):
    """Of two paths without a way between them the likelier one, by exp(30) per frame, ends nowhere."""
    arcs = [(0, 1, 0, 0.0), (1, 1, 0, 0.0), (0, 2, 1, 0.0), (2, 2, 1, 0.0)]
    total = TotalScore(graph(arcs, [0.0, NEVER, NEVER], [NEVER, NEVER, 0.0]), kernel)
    scores = torch.tensor([0.0, -30.0], dtype=torch.float64).repeat(1, 50, 1).requires_grad_()
    found = total(scores, torch.tensor([50]))
    assert found.item() == pytest.approx(-1500.0)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), scores)[0], torch.tensor([[0.0, 1.0]] * 50).double()[None])


@every_kernel
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_double(kernel, dtype):
    scores = batch(dtype=dtype)
    found = TotalScore(random_graph(1), kernel)(scores, LENS)
    exact = TotalScore(random_graph(1), kernel)(scores.detach().double(), LENS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=0)
    assert torch.autograd.grad(found[0], scores)[0].dtype == dtype


def test_a_batch_without_frames_and_one_without_utterances():
    total = TotalScore(random_graph(1), "auto")
    assert total(torch.zeros(2, 0, 4), torch.tensor([0, 0])).tolist() == pytest.approx([total.nodes.no_frames] * 2)
    assert total(torch.zeros(0, 3, 4), torch.zeros(0, dtype=torch.int64)).shape == (0,)


def test_a_graph_with_nearly_all_arcs_is_computed_by_matrix_products():
    full = [(p, q, q, 0.0) for p in range(101) for q in range(101)]
    ring = [(q, (q + 1) % 9, q, 0.0) for q in range(9)]
    names = [TotalScore(graph(a, [0.0] * n, [0.0] * n))._kernel_on(torch.device("cpu")) for a, n in ((full, 101), (ring, 9))]
    assert names == ["dense", "numba"]


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="kernel: expected auto, numba, torch, dense, triton, got 'k2'"):
        TotalScore(random_graph(0), "k2")
    with pytest.raises(ValueError, match="expected labels below 2"):
        TotalScore(random_graph(0))(torch.zeros(1, 3, 2), torch.tensor([3]))
    with pytest.raises(ValueError, match="got numba"):
        TotalScore(random_graph(0), "numba")._sums_on(torch.device("meta"))
    graphs = label_graphs([[[(0.0, [3])]]], TOPOLOGIES["ctc"])
    with pytest.raises(ValueError, match="expected labels below 3, got 3"):
        total_score_of_each(graphs, torch.zeros(1, 3, 3), torch.tensor([3]))
    with pytest.raises(ValueError, match="kernel: expected auto, numba, torch, got 'dense'"):
        total_score_of_each(graphs, torch.zeros(1, 3, 4), torch.tensor([3]), "dense")
