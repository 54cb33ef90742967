"""What every registered search over frames must do; a new one is tested by being there."""

from __future__ import annotations

import math

import pytest
import torch

import speechkit.decode
import speechkit.objectives  # noqa: F401 - both register them
from speechkit.decode.base import FrameSearch, Search
from speechkit.graphs.label_graph import TOPOLOGIES
from speechkit.models.decoder.linear import Linear
from speechkit.objectives.base import Objective
from speechkit.objectives.lf_mmi import LfMmiObjective
from speechkit.text.vocabulary import Vocabulary

V = 5
LENS = torch.tensor([17, 11, 0])

every_search = pytest.mark.parametrize("name", sorted(n for n, c in Search.registry.items() if issubclass(c, FrameSearch)))


def build(name, **options):
    needed = {"graph": "tokens"} if name == "wfst" else {}
    return Search.registry[name].Config(**needed, **options).build(vocabulary=Vocabulary(7, 0))


def batch():
    torch.manual_seed(2)
    return (3 * torch.randn(3, 17, V, dtype=torch.float64)).log_softmax(-1)


@every_search
def test_an_utterance_in_a_batch_is_searched_as_if_alone_whatever_the_padding_holds(name):
    search, log_probs = build(name), batch()
    for b in range(3):
        log_probs[b, LENS[b] :] = math.nan
    together = search(log_probs, LENS)
    assert together == [search(log_probs[b : b + 1, : LENS[b]], LENS[b : b + 1])[0] for b in range(3)]


@every_search
def test_hypotheses_are_ranked_distinct_and_free_of_blanks(name):
    for hypotheses in build(name)(batch(), LENS):
        assert hypotheses
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True) and all(math.isfinite(score) for score in scores)
        sequences = [tuple(hypothesis.tokens) for hypothesis in hypotheses]
        assert len(set(sequences)) == len(sequences)
        assert all(0 < token < V and isinstance(token, int) for sequence in sequences for token in sequence)


@every_search
def test_each_token_has_a_span_of_frames_behind_the_one_before_and_a_confidence(name):
    for hypotheses, length in zip(build(name)(batch(), LENS), LENS.tolist()):
        for hypothesis in hypotheses:
            assert len(hypothesis.tokens) == len(hypothesis.token_times) == len(hypothesis.confidences)
            borders = [frame for span in hypothesis.token_times for frame in span]
            assert borders == sorted(borders) and all(first < last for first, last in hypothesis.token_times)
            assert all(0 <= frame <= length for frame in borders)
            assert all(0.0 <= confidence <= 1.0 for confidence in hypothesis.confidences)


@every_search
def test_certain_frames_are_spelled_out(name):
    probs = torch.nn.functional.one_hot(torch.tensor([[0, 3, 3, 0, 3, 1, 1, 1, 0, 0, 4]]), V)
    (hypotheses,) = build(name)(probs.log(), torch.tensor([11]))
    assert len(hypotheses) == 1
    assert hypotheses[0].tokens == [3, 3, 1, 4] and hypotheses[0].score == 0.0
    assert hypotheses[0].token_times == [(1, 3), (4, 5), (5, 8), (10, 11)]
    assert hypotheses[0].confidences == [1.0, 1.0, 1.0, 1.0]


@every_search
def test_silence_and_no_frames_at_all_give_the_empty_hypothesis(name):
    silence = torch.tensor([[[0.99, 0.01]] * 7]).log()
    for length in (7, 0):
        best = build(name)(silence, torch.tensor([length]))[0][0]
        assert (best.tokens, best.token_times, best.confidences) == ([], [], [])
        assert best.score == pytest.approx(length * math.log(0.99), rel=1e-6)


@every_search
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_all_float_types_are_searched_with_and_without_gradient(name, dtype):
    log_probs = batch().to(dtype)
    with_gradient = build(name)(log_probs.clone().requires_grad_(), LENS)
    assert with_gradient == build(name)(log_probs.double(), LENS)


@every_search
@pytest.mark.parametrize("wrong", [2.5, math.nan])
def test_what_are_no_log_probabilities_is_an_error_that_names_the_utterance(name, wrong):
    log_probs = batch()
    log_probs[1, 3, 2] = wrong
    with pytest.raises(ValueError, match=rf"utterance 1 of the batch: .* got .*{wrong}; apply log_softmax"):
        build(name)(log_probs, LENS)
    log_probs[1, 3] = -math.inf
    with pytest.raises(ValueError, match="utterance 1 of the batch"):
        build(name)(log_probs, LENS)


@every_search
def test_a_search_reads_the_decoder_that_scores_frames_or_the_one_that_it_is_told(name):
    torch.manual_seed(4)
    decoders = {"attention": torch.nn.Identity(), "ctc": linear(), "other": linear()}
    encoder_out = torch.randn(3, 17, 8)
    search = build(name)
    assert search.decode(decoders, encoder_out, LENS) == search(decoders["ctc"](encoder_out), LENS)
    told = build(name, objective="other")
    assert told.decode(decoders, encoder_out, LENS) == search(decoders["other"](encoder_out), LENS)


@every_search
def test_a_model_without_a_decoder_for_the_search_is_an_error(name):
    cases = ((None, {"attention": torch.nn.Identity()}, "search"), ("ctx", {"ctc": linear()}, r"search\.objective"))
    for objective, decoders, key in cases:
        search = build(name, objective=objective)
        with pytest.raises(ValueError, match=rf"^{key}: .* got objectives (attention|ctc); choose"):
            search.decode(decoders, torch.randn(1, 3, 8), torch.tensor([3]))


READ = {  # what is enough for each search
    "asg_viterbi": ["asg"],
    "attention_beam": ["attention"],
    "attention_greedy": ["attention"],
    "ctc_attention_rescoring": ["attention", "ctc"],
    "ctc_greedy": ["ctc"],
    "ctc_prefix_beam": ["gtc"],
    "graph_viterbi": ["lf_mmi"],
    "hmm_viterbi": ["hmm"],
    "joint": ["ctc_crf", "attention"],
    "transducer_alsd": ["transducer"],
    "transducer_beam": ["pruned_transducer"],
    "transducer_greedy": ["transducer"],
    "wfst": ["ctc_crf"],
}


def objectives(*names):
    return {name: Objective.registry[name].Config() for name in names}


@pytest.mark.parametrize("name", sorted(Search.registry))
def test_what_a_search_reads_is_known_before_there_is_a_model(name):
    search, enough = Search.registry[name].Config(), READ[name]
    search.component.check(search, objectives(*enough))
    for left_out in enough:
        others = objectives(*(each for each in enough if each != left_out))
        with pytest.raises(ValueError, match=rf"^valid_search: {name} expected an objective with .* got objectives"):
            search.component.check(search, others, "valid_search")
    search = Search.registry[name].Config(objective="here")
    with pytest.raises(ValueError, match=rf"^search\.objective: {name} expected here with a decoder"):
        search.component.check(search, objectives(*enough))


@pytest.mark.parametrize("name", ["joint", "ctc_attention_rescoring"])
def test_the_second_decoder_of_a_search_is_named_by_its_own_option(name):
    search = Search.registry[name].Config(ctc_objective="attention")
    for key in ("search", "valid_search"):
        with pytest.raises(ValueError, match=rf"^{key}\.ctc_objective: {name} expected attention with .* that scores"):
            search.component.check(search, objectives("attention", "ctc"), key)


def test_a_graph_is_what_an_objective_has_not_its_decoder():
    search = Search.registry["graph_viterbi"].Config()
    with pytest.raises(ValueError, match="graph_viterbi expected .* frames of a graph, such as lf_mmi, got objectives ctc"):
        search.component.check(search, objectives("ctc"))


OVER_FRAMES = ["ctc_greedy", "ctc_prefix_beam", "ctc_attention_rescoring", "joint", "wfst", "graph_viterbi"]


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("name", OVER_FRAMES)
def test_frames_of_another_topology_are_not_read_by_the_rules_of_ctc(name, topology):
    search = Search.registry[name].Config()
    given = objectives("attention") | {"mmi": LfMmiObjective.Config(topology=topology)}
    if topology == "ctc" or name == "graph_viterbi":
        search.component.check(search, given)
    else:
        with pytest.raises(ValueError, match=rf"^search\.name: expected graph_viterbi, .* topology {topology}, got {name}, .* ctc's"):
            search.component.check(search, given)
    search.component.check(search, objectives("ctc", "attention") | {"mmi": LfMmiObjective.Config()})


def linear():
    decoder = Linear.Config(dropout=0.0).build(in_dim=8, vocabulary=Vocabulary(V))
    torch.nn.init.normal_(decoder.out.weight)
    return decoder.eval()
