"""Graphs of transcripts and their alternatives against all paths, one by one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from graph_cases import NEVER, labellings, log_sum, path_scores, spellings

from speechkit.graphs.forward_backward import total_score_of_each
from speechkit.graphs.label_graph import TOPOLOGIES, label_graphs, transcript_graph

every_topology = pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
SLOTS = {
    "nothing": [],
    "the empty transcript": [[(0.0, [])]],
    "a transcript": [[(0.0, [1, 1, 2])]],
    "an n-best list": [[(-0.3, [1, 2]), (-1.5, [1, 1]), (-2.0, []), (-3.0, [2])]],
    "a confusion network": [[(-0.1, [1]), (-2.3, [2])], [(-0.7, [1]), (-0.7, [])], [(-0.2, [2]), (-1.7, [1, 2])]],
    "slots that may all be left out": [[(-0.1, [1]), (-2.3, [])], [(-0.7, []), (-0.7, [1])], [(-0.2, [2]), (-1.7, [])]],
    "the same sequence twice": [[(-0.1, [1]), (-2.3, [1, 2])], [(-0.7, [2]), (-0.7, [])]],
    "an impossible alternative": [[(NEVER, [1]), (-2.3, [2])]],
}


def expected(slots, topology, scores) -> float:
    wanted: dict[tuple[int, ...], list[float]] = {}
    for choice in itertools.product(*slots):
        tokens = tuple(token for _, tokens in choice for token in tokens)
        wanted.setdefault(tokens, []).append(sum(weight for weight, _ in choice))
    found = []
    for path in labellings(len(scores), 3):
        score = sum(float(scores[t, label]) for t, label in enumerate(path))
        found += [score + weight for tokens in spellings(path, topology) for weight in wanted.get(tokens, [])]
    return log_sum(found)


@every_topology
@pytest.mark.parametrize("name", SLOTS)
def test_all_paths_of_every_choice_of_alternatives_are_there_once(topology, name):
    scores = torch.randn(6, 5, 3, dtype=torch.float64)
    lens = torch.arange(6)
    graphs = label_graphs([SLOTS[name]] * 6, topology)
    totals = [expected(SLOTS[name], topology, scores[b, :b]) for b in range(6)]
    for kernel in ("numba", "torch"):
        found = total_score_of_each(graphs, scores, lens, kernel)
        torch.testing.assert_close(found, torch.tensor(totals, dtype=torch.float64), rtol=0, atol=1e-10)
    possible = [length for length in range(6) if totals[length] > NEVER]
    assert graphs.least_frames()[0] == possible[0]


@pytest.mark.parametrize("kernel", ["numba", "torch"])
def test_gradients_are_right_and_utterances_do_not_depend_on_each_other(kernel):
    utterances, lens = [*SLOTS.values()], torch.tensor([5, 0, 4, 3, 5, 2, 5, 5])
    scores = torch.randn(8, 5, 3, dtype=torch.float64, requires_grad=True)
    graphs = label_graphs(utterances, TOPOLOGIES["ctc"])
    together = total_score_of_each(graphs, scores, lens, kernel)
    assert together.isfinite().all()
    assert torch.autograd.gradcheck(lambda x: total_score_of_each(graphs, x, lens, kernel), scores)
    with torch.no_grad():
        for b, length in enumerate(lens.tolist()):
            scores[b, length:] = math.nan
    for b, slots in enumerate(utterances):
        alone = label_graphs([slots], TOPOLOGIES["ctc"])
        value = total_score_of_each(alone, scores[b : b + 1, : lens[b]], lens[b : b + 1], kernel)
        torch.testing.assert_close(value[0], together[b])


@pytest.mark.parametrize("kernel", ["numba", "torch"])
def test_an_utterance_without_a_path_has_minus_infinity_and_no_gradient_and_nan_stays_nan(kernel):
    graphs = label_graphs([[[(0.0, [1, 1])]]] * 3, TOPOLOGIES["ctc"])
    scores = torch.zeros(3, 3, 2)
    scores[1, 1, 0] = math.nan
    scores.requires_grad_()
    found = total_score_of_each(graphs, scores, torch.tensor([2, 3, 3]), kernel)
    (grad,) = torch.autograd.grad(found[[0, 2]].sum(), scores)
    assert found.dtype == torch.float32 and found[0] == NEVER and found[1].isnan() and found[2] == 0.0
    assert grad[:2].eq(0).all() and grad[2].tolist() == [[0, 1], [1, 0], [0, 1]]


@every_topology
@pytest.mark.parametrize("tokens", [[], [2], [1, 1, 2]])
def test_the_graph_of_a_transcript_for_searches_has_the_same_paths(topology, tokens):
    scores = torch.randn(1, 4, 3, dtype=torch.float64)
    graph = transcript_graph(tokens, topology)
    found = total_score_of_each(label_graphs([[[(0.0, tokens)]]], topology), scores, torch.tensor([4]))
    assert log_sum(path_scores(graph, scores[0])) == pytest.approx(found.item())
    assert graph.outputs[graph.outputs >= 0].tolist() == graph.labels[graph.outputs >= 0].tolist()


def test_the_blank_may_be_another_class():
    scores = torch.randn(1, 4, 3, dtype=torch.float64)
    usual = total_score_of_each(label_graphs([[[(0.0, [1, 2])]]], TOPOLOGIES["ctc"]), scores, torch.tensor([4]))
    moved = label_graphs([[[(0.0, [0, 1])]]], TOPOLOGIES["ctc"], blank_id=2)
    assert total_score_of_each(moved, scores.roll(-1, 2), torch.tensor([4])).item() == pytest.approx(usual.item())
