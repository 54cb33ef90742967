"""The search through an objective's graph against enumeration of all paths."""

from __future__ import annotations

import pytest
import torch
from graph_cases import labellings, spellings

from speechkit.decode.graph_viterbi import GraphViterbiSearch
from speechkit.graphs.label_graph import TOPOLOGIES
from speechkit.models.decoder.linear import Linear
from speechkit.objectives.ctc_crf import CtcCrfObjective
from speechkit.objectives.denominator import SEARCH_GRAPH, NGramConfig
from speechkit.objectives.lf_mmi import LfMmiObjective
from speechkit.text.vocabulary import Vocabulary

TRANSCRIPTS = [[1, 2, 3], [2, 2, 1, 3], [3], [], [1, 2], [2, 3, 1, 2]]
LENS = torch.tensor([5, 3, 0])


def fitted(folder, kind=LfMmiObjective, **options):
    objective = kind.Config(**options).build(vocabulary=Vocabulary(5))
    objective.fit(TRANSCRIPTS, folder)
    objective.load(folder)
    return objective


def search(model_dir, size=5, **options):
    return GraphViterbiSearch.Config(**options).build(vocabulary=Vocabulary(size), model_dir=model_dir)


def decoder(scale=5.0):
    torch.manual_seed(3)
    found = Linear.Config(dropout=0.0).build(in_dim=7, vocabulary=Vocabulary(5)).double()
    torch.nn.init.normal_(found.out.weight, std=scale)
    return found.eval()


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("lm_scale", [1.0, 0.3])
def test_the_best_of_all_paths_is_found_with_its_parts(tmp_path, topology, lm_scale):
    model = fitted(tmp_path / "objectives" / "mmi", topology=topology).model
    network, encoder_out = decoder(1.0), torch.randn(3, 5, 7, dtype=torch.float64)
    found = search(tmp_path, lm_scale=lm_scale).decode({"mmi": network}, encoder_out, LENS)
    log_probs = network(encoder_out).detach()
    for b, length in enumerate(LENS.tolist()):
        ranked = []
        for path in labellings(length, 4):
            frames = sum(float(log_probs[b, t, label]) for t, label in enumerate(path))
            for tokens in spellings(path, TOPOLOGIES[topology]):
                weight = model.sentence_log_prob(tokens)
                ranked.append((frames + lm_scale * weight, frames, weight, tokens))
        score, frames, weight, tokens = max(ranked)
        (best,) = found[b]
        assert best.tokens == list(tokens) and best.score == pytest.approx(score)
        assert best.scores == pytest.approx({"frames": frames, "ngram": weight})
        assert len(best.token_times) == len(best.confidences) == len(tokens)
        assert all(0 <= first < last <= length for first, last in best.token_times)


def test_certain_frames_are_spelled_out_with_times(tmp_path):
    fitted(tmp_path / "objectives" / "crf", CtcCrfObjective)
    network, path = decoder(), [0, 3, 3, 0, 3, 1, 1, 1, 0, 0, 2]
    with torch.no_grad():
        network.out.weight.copy_(40 * torch.eye(5, 7))
        network.out.bias.zero_()
    frames = torch.nn.functional.one_hot(torch.tensor([path]), 7).double()
    ((best,),) = search(tmp_path).decode({"crf": network}, frames, torch.tensor([11]))
    assert best.tokens == [3, 3, 1, 2]
    assert best.token_times == [(1, 3), (4, 5), (5, 8), (10, 11)]
    assert best.confidences == pytest.approx([1.0] * 4)


def test_the_objective_with_a_graph_is_found_or_the_one_that_is_named(tmp_path):
    fitted(tmp_path / "objectives" / "mmi", ngram=NGramConfig(order=1))
    decoders = {"ctc": decoder(1.0), "mmi": decoder(2.0), "other": decoder(3.0)}
    encoder_out = torch.randn(3, 5, 7, dtype=torch.float64)
    first = search(tmp_path).decode(decoders, encoder_out, LENS)
    assert first == search(tmp_path).decode({"mmi": decoders["mmi"]}, encoder_out, LENS)
    fitted(tmp_path / "objectives" / "other", ngram=NGramConfig(order=1))
    named = search(tmp_path, objective="other").decode(decoders, encoder_out, LENS)
    alone = search(tmp_path, objective="other").decode({"other": decoders["other"]}, encoder_out, LENS)
    assert named != first and named == alone


def test_an_utterance_too_short_for_the_graph_has_no_tokens(tmp_path):
    objective = LfMmiObjective.Config(path_weight=False, ngram=NGramConfig(seen_only=True)).build(vocabulary=Vocabulary(5))
    objective.fit([[1, 2, 3]], tmp_path / "objectives" / "mmi")
    ((best,),) = search(tmp_path).decode({"mmi": decoder()}, torch.randn(1, 2, 7, dtype=torch.float64), torch.tensor([2]))
    assert best.tokens == [] and best.score == -torch.inf


def test_a_model_without_a_graph_or_with_that_of_other_tokens_is_an_error(tmp_path):
    facts = {"ctc": decoder()}, torch.randn(3, 5, 7), LENS
    with pytest.raises(ValueError, match="expected a model directory"):
        search(None).decode(*facts)
    with pytest.raises(ValueError, match=rf"ctc/{SEARCH_GRAPH}: expected the graph of an objective such as lf_mmi, found none"):
        search(tmp_path, objective="ctc").decode(*facts)
    fitted(tmp_path / "objectives" / "mmi")
    with pytest.raises(ValueError, match="expected mmi with a decoder that scores frames, such as lf_mmi, got objectives ctc"):
        search(tmp_path).decode(*facts)
    with pytest.raises(ValueError, match=f"{SEARCH_GRAPH}: graph: expected labels below 3"):
        search(tmp_path, size=3).decode(*facts)
