"""LF-MMI against enumeration of all paths in each of its topologies."""

from __future__ import annotations

import math

import pytest
import torch
from graph_cases import labellings, log_sum, spellings

from speechkit.data.batch import Targets
from speechkit.graphs.label_graph import TOPOLOGIES
from speechkit.objectives.ctc_crf import CtcCrfObjective
from speechkit.objectives.lf_mmi import LfMmiObjective
from speechkit.text.vocabulary import Vocabulary

TRANSCRIPTS = [[1, 2, 3], [2, 2, 1, 3], [3], [], [1, 2], [2, 3, 1, 2]]
every_topology = pytest.mark.parametrize("topology", TOPOLOGIES)


def identity(scores):
    return scores


def fitted(folder, kind=LfMmiObjective, **options):
    objective = kind.Config(**options).build(vocabulary=Vocabulary(5))
    objective.fit(TRANSCRIPTS, folder)
    objective.load(folder)
    return objective


@every_topology
@pytest.mark.parametrize("tokens", [[], [2, 2], [1, 2, 3]])
def test_the_loss_is_the_share_of_the_transcript_among_all_paths(tmp_path, topology, tokens):
    objective = fitted(tmp_path, lamb=0.0, topology=topology)
    scores, found = torch.randn(1, 4, 5, dtype=torch.float64), {True: [], False: []}
    for path in labellings(4, 4):  # of all labels but that of the sentence's end
        score = sum(float(scores[0, t, label]) for t, label in enumerate(path))
        for spelled in spellings(path, TOPOLOGIES[topology]):
            found[spelled == tuple(tokens)].append(score + objective.model.sentence_log_prob(spelled))
    expected = log_sum(found[True] + found[False]) - log_sum(found[True])
    targets = Targets(torch.tensor([[*tokens, 1]]), torch.tensor([len(tokens)]))
    assert objective(identity, scores, torch.tensor([4]), targets).item() == pytest.approx(expected, abs=1e-9)


@every_topology
def test_scores_need_no_normalisation_but_for_the_auxiliary_loss(tmp_path, topology):
    facts = torch.tensor([9]), Targets(torch.tensor([[1, 2, 3]]), torch.tensor([3]))
    scores = torch.randn(1, 9, 5, dtype=torch.float64)
    for lamb, equal in ((0.0, True), (0.1, False)):
        objective = fitted(tmp_path, lamb=lamb, topology=topology)
        losses = [objective(identity, each, *facts).item() for each in (scores, scores.log_softmax(-1))]
        assert math.isclose(*losses, rel_tol=1e-9) == equal


def test_over_the_topology_of_ctc_it_is_ctc_crf(tmp_path):
    facts = torch.tensor([9, 6]), Targets(torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([3, 2]))
    log_probs = torch.randn(2, 9, 5, dtype=torch.float64).log_softmax(-1)
    crf, mmi = fitted(tmp_path / "crf", CtcCrfObjective), fitted(tmp_path / "mmi", topology="ctc")
    torch.testing.assert_close(mmi(identity, log_probs, *facts), crf(identity, log_probs, *facts))
    assert mmi.align(identity, log_probs, *facts)[0].token_times == crf.align(identity, log_probs, *facts)[0].token_times


@every_topology
def test_equal_neighbours_need_a_blank_in_ctc_only(tmp_path, topology):
    objective = fitted(tmp_path, topology=topology)
    found = objective.alignable(torch.tensor([2, 3, 1]), Targets(torch.tensor([[2, 2]] * 3), torch.tensor([2, 2, 2])))
    assert found.tolist() == [topology != "ctc", True, False]


def test_the_best_path_places_the_tokens(tmp_path):
    path = [0, 2, 2, 2, 0, 1, 3, 3]
    log_probs = torch.full((1, 8, 5), math.log(0.05))
    log_probs[0, range(8), path] = math.log(0.8)
    targets = Targets(torch.tensor([[2, 1, 3]]), torch.tensor([3]))
    (alignment,) = fitted(tmp_path).align(identity, log_probs, torch.tensor([8]), targets)
    assert alignment.token_times == [(1, 4), (5, 6), (6, 8)]
    assert alignment.score == pytest.approx(8 * math.log(0.8), rel=1e-5)
    # In the topology of chain models all frames of a token but its first one are blank.
    (alignment,) = fitted(tmp_path, topology="chain").align(identity, log_probs, torch.tensor([8]), targets)
    assert [last - first for first, last in alignment.token_times] == [1, 1, 1]
