"""CTC-CRF against a published toy, enumeration of all paths, and CTC."""

from __future__ import annotations

import pytest
import torch
from graph_cases import TOY_TOTAL, labellings, log_sum, spellings, toy

from speechkit.data.batch import Targets
from speechkit.graphs.forward_backward import TotalScore
from speechkit.graphs.graph import Graph
from speechkit.graphs.label_graph import TOPOLOGIES
from speechkit.objectives.ctc import CtcObjective
from speechkit.objectives.ctc_crf import CtcCrfObjective
from speechkit.objectives.denominator import NGramConfig
from speechkit.text.vocabulary import Vocabulary

TRANSCRIPTS = [[1, 2, 3], [2, 2, 1, 3], [3], [], [1, 2], [2, 3, 1, 2]]
CAT = Targets(torch.tensor([[2, 1, 4]]), torch.tensor([3]))  # c-a-t
NUMERATOR = -3.742280230841051


def log_softmax(scores):
    return scores.log_softmax(-1)


def fitted(folder, **options):
    objective = CtcCrfObjective.Config(**options).build(vocabulary=Vocabulary(5))
    objective.fit(TRANSCRIPTS, folder)
    objective.load(folder)
    return objective


@pytest.mark.parametrize(("lamb", "loss"), [(0.01, -2.4786247634838534), (0.1, -2.1418195427081583)])
def test_the_published_toy(lamb, loss):
    # The inputs of thu-spmi/CAT, src/ctc_crf/test; the values by enumeration. Its label has no weight under its graph.
    graph, log_probs = toy()
    objective = CtcCrfObjective.Config(lamb=lamb, path_weight=False).build(vocabulary=Vocabulary(5))
    objective.total_score = TotalScore(graph)
    facts = torch.tensor([5]), CAT
    assert objective.numerator(log_probs, *facts).item() == pytest.approx(NUMERATOR, abs=1e-12)
    assert objective.total_score(log_probs, torch.tensor([5])).item() == pytest.approx(TOY_TOTAL, abs=1e-12)
    log_probs.requires_grad_()
    found = objective(lambda scores: scores, log_probs, *facts)
    assert found.item() == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize("tokens", [[], [1], [2, 2], [1, 2, 3]])
def test_the_loss_is_the_share_of_the_transcript_among_all_paths(tmp_path, tokens):
    objective = fitted(tmp_path, lamb=0.0)
    log_probs = torch.randn(1, 4, 5, dtype=torch.float64).log_softmax(-1)
    scores = {True: [], False: []}
    for path in labellings(4, 4):  # of all labels but that of the sentence's end
        (spelled,) = spellings(path, TOPOLOGIES["ctc"])
        score = sum(float(log_probs[0, t, label]) for t, label in enumerate(path))
        scores[spelled == tuple(tokens)].append(score + objective.model.sentence_log_prob(spelled))
    expected = log_sum(scores[True] + scores[False]) - log_sum(scores[True])
    targets = Targets(torch.tensor([[*tokens, 1]]), torch.tensor([len(tokens)]))
    assert objective(lambda scores: scores, log_probs, torch.tensor([4]), targets).item() == pytest.approx(expected, abs=1e-9)


def test_without_weights_in_the_graph_it_is_ctc():
    every = range(5)
    arcs = [(p, q, q, 0.0) for p in every for q in every]  # state q: in label q; all labellings are paths
    sources, targets, labels, weights = (torch.tensor(column).numpy() for column in zip(*arcs))
    graph = Graph(sources, targets, labels, weights, labels, [0.0] + [-torch.inf] * 4, [0.0] * 5)
    objective = CtcCrfObjective.Config(lamb=0.25, path_weight=False).build(vocabulary=Vocabulary(5))
    objective.total_score = TotalScore(graph)
    transcripts = Targets(torch.tensor([[1, 1], [3, 2]]), torch.tensor([2, 1]))
    facts = torch.randn(2, 9, 5, dtype=torch.float64), torch.tensor([9, 7]), transcripts
    ctc = CtcObjective.Config().build(vocabulary=Vocabulary(5))(log_softmax, *facts)
    torch.testing.assert_close(objective(log_softmax, *facts), 1.25 * ctc)


@pytest.mark.parametrize("options", [{}, {"path_weight": False, "ngram": NGramConfig(seen_only=True)}])
def test_the_gradient_is_that_of_the_posteriors_and_the_constant_changes_nothing(tmp_path, options):
    objective = fitted(tmp_path, lamb=0.3, **options)
    logits = torch.randn(2, 6, 5, dtype=torch.float64, requires_grad=True)
    facts = torch.tensor([6, 5]), Targets(torch.tensor([[1, 2, 3], [2, 2, 1]]), torch.tensor([3, 2]))
    loss = objective(log_softmax, logits, *facts)
    (grad,) = torch.autograd.grad(loss.sum(), logits)
    # gamma_den - (1 + lamb) gamma_num + lamb softmax, with respect to the logits
    free = logits.detach().log_softmax(-1).requires_grad_()
    (den,) = torch.autograd.grad(objective.total_score(free, facts[0]).sum(), free)
    (num,) = torch.autograd.grad(objective.numerator(free, *facts).sum(), free)
    expected = den - 1.3 * num + 0.3 * free.detach().exp()
    expected[1, 5] = 0.0
    torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("kernel", ["numba", "torch", "dense"])
def test_all_kernels_give_the_same_loss(tmp_path, kernel):
    facts = torch.randn(2, 12, 5), torch.tensor([12, 9]), Targets(torch.tensor([[1, 2, 3], [2, 2, 1]]), torch.tensor([3, 2]))
    expected = fitted(tmp_path / "auto")(log_softmax, *facts)
    found = fitted(tmp_path / kernel, den_kernel=kernel)(log_softmax, *facts)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_alignment_is_that_of_ctc(tmp_path):
    facts = torch.randn(1, 9, 5), torch.tensor([9]), Targets(torch.tensor([[1, 2, 2]]), torch.tensor([3]))
    ctc = CtcObjective.Config().build(vocabulary=Vocabulary(5))
    assert fitted(tmp_path).align(log_softmax, *facts) == ctc.align(log_softmax, *facts)
