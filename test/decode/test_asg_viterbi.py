from __future__ import annotations

import itertools
import math

import pytest
import torch

from speechkit.data.batch import Targets
from speechkit.decode.asg_viterbi import AsgViterbiSearch
from speechkit.models.decoder.asg import Asg
from speechkit.objectives.asg import AsgObjective
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.utterances import UtteranceError

V = 4
SEARCH = AsgViterbiSearch.Config().build(vocabulary=Vocabulary(V))


def decoder(between_equals="repeat"):
    torch.manual_seed(0)
    built = Asg.Config(between_equals=between_equals).build(in_dim=7, vocabulary=Vocabulary(V)).double().eval()
    torch.nn.init.normal_(built.transitions)
    return built


def test_the_path_is_the_best_of_all_and_its_score_a_log_probability():
    asg, encoder_out, lens = decoder(), torch.randn(2, 5, 7, dtype=torch.float64), torch.tensor([5, 3])
    found = SEARCH.decode({"asg": asg}, encoder_out, lens)
    for b, length in enumerate(lens.tolist()):
        f, g = asg(encoder_out)[b].tolist(), asg.transitions.tolist()
        score = {
            path: sum(f[t][i] for t, i in enumerate(path)) + sum(g[i][j] for j, i in zip(path[:-1], path[1:]))
            for path in itertools.product(range(V), repeat=length)
        }
        best, total = max(score, key=score.get), math.log(sum(map(math.exp, score.values())))
        [hypothesis] = found[b]
        assert hypothesis.score == pytest.approx(score[best] - total) == hypothesis.scores["asg"]
        assert hypothesis.tokens == [token for token, _, _ in asg.spell(list(best))]


@pytest.mark.parametrize("between_equals", ["repeat", "silence"])
def test_a_path_of_a_transcript_spells_it_back(between_equals):
    asg = decoder(between_equals)
    objective = AsgObjective.Config(decoder=Asg.Config(between_equals=between_equals)).build(vocabulary=Vocabulary(V))
    for tokens in itertools.product([1, 2], repeat=4):
        chain = objective._chains(Targets(torch.tensor([tokens]), torch.tensor([4])))
        walk = [label for label, optional in zip(chain.labels[0].tolist(), chain.optional[0].tolist()) if not optional]
        assert tuple(token for token, _, _ in asg.spell(walk)) == tokens
        assert tuple(token for token, _, _ in asg.spell(chain.labels[0].repeat_interleave(2).tolist())) == tokens


def test_an_utterance_without_frames_says_nothing():
    assert SEARCH.decode({"asg": decoder()}, torch.zeros(1, 0, 7).double(), torch.tensor([0]))[0][0].tokens == []


def test_nan_and_a_model_without_transitions_are_named():
    encoder_out = torch.randn(2, 5, 7, dtype=torch.float64)
    encoder_out[1, 3] = math.nan
    SEARCH.decode({"asg": decoder()}, encoder_out, torch.tensor([5, 3]))
    with pytest.raises(UtteranceError, match="utterance 1 .* nan"):
        SEARCH.decode({"asg": decoder()}, encoder_out, torch.tensor([5, 4]))
    with pytest.raises(ValueError, match="asg_viterbi expected an objective with a decoder that has transitions.*got objectives none"):
        SEARCH.decode({}, encoder_out, torch.tensor([5, 4]))
