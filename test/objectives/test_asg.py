"""ASG against published losses and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from speechkit.config import ConfigError, validate
from speechkit.data.batch import Targets
from speechkit.graphs.segments import Chains, all_paths_score, chain_score
from speechkit.objectives.asg import AsgObjective
from speechkit.text.vocabulary import Vocabulary

# flashlight/flashlight, flashlight/pkg/speech/test/criterion/CriterionTest.cpp, and facebookresearch/gtn,
# bindings/python/test/test_criterions.py: three utterances of 5 frames over 6 labels, transitions 0.
EMISSIONS = """
-0.4340 -0.0254 0.3667 0.4180 -0.3805 -0.1707   0.1060 0.3631 -0.1122 -0.3825 -0.0031 -0.3801
0.0443 -0.3795 0.3194 -0.3130 0.0094 0.1560     0.1252 0.2877 0.1997 -0.4554 0.2774 -0.2526
-0.4001 -0.2402 0.1295 0.0172 0.1805 -0.3299
0.3298 -0.2259 -0.0959 0.4909 0.2996 -0.2543    -0.2863 0.3239 -0.3988 0.0732 -0.2107 -0.4739
-0.0906 0.0480 -0.1301 0.3975 -0.3317 -0.1967   0.4372 -0.2006 0.0094 0.3281 0.1873 -0.2945
0.2399 0.0320 -0.3768 -0.2849 -0.2248 0.3186
0.0225 -0.3867 -0.1929 -0.2904 -0.4958 -0.2533  0.4001 -0.1517 -0.2799 -0.2915 0.4198 0.4506
0.1446 -0.4753 -0.0711 0.2876 -0.1851 -0.1066   0.2081 -0.1190 -0.3902 -0.1668 0.1911 -0.2848
-0.3846 0.1175 0.1052 0.2172 -0.0362 0.3055"""
EMISSIONS_GRAD = """
0.1060 0.1595 -0.7639 0.2485 0.1118 0.1380   0.1915 -0.7524 0.1539 0.1175 0.1717 0.1178
0.1738 0.1137 0.2288 0.1216 0.1678 -0.8057   0.1766 -0.7923 0.1902 0.0988 0.2056 0.1210
0.1212 0.1422 0.2059 -0.8160 0.2166 0.1300
0.2029 0.1164 0.1325 0.2383 -0.8032 0.1131   0.1414 0.2602 0.1263 -0.3441 -0.3009 0.1172
0.1557 0.1788 0.1496 -0.5498 0.0140 0.0516   0.2306 0.1219 0.1503 -0.4244 0.1796 -0.2579
0.2149 0.1745 0.1160 0.1271 0.1350 -0.7675
0.2195 0.1458 0.1770 -0.8395 0.1307 0.1666   0.2148 0.1237 -0.6613 -0.1223 0.2191 0.2259
0.2002 0.1077 -0.8386 0.2310 0.1440 0.1557   0.2197 -0.1466 -0.5742 0.1510 0.2160 0.1342
0.1050 -0.8265 0.1714 0.1917 0.1488 0.2094"""
TRANSITIONS_GRAD = """
0.3990 0.3396 0.3486 0.3922 0.3504 0.3155   0.3666 0.0116 -1.6678 0.3737 0.3361 -0.7152
0.3468 0.3163 -1.1583 -0.6803 0.3216 0.2722 0.3694 -0.6688 0.3047 -0.8531 -0.6571 0.2870
0.3866 0.3321 0.3447 0.3664 -0.2163 0.3039  0.3640 -0.6943 0.2988 -0.6722 0.3215 -0.1860"""
TOKENS, TOKEN_LENS = torch.tensor([[2, 1, 5, 1, 3], [4, 3, 5, 0, 0], [3, 2, 2, 1, 0]]), torch.tensor([5, 3, 4])
LOSSES = torch.tensor([7.7417464256287, 6.4200420379639, 8.2780694961548])


def numbers(text, *shape):
    return torch.tensor([float(number) for number in text.split()]).view(shape)


class Emissions(nn.Module):
    """A decoder for tests: the encoder output holds the emissions."""

    def __init__(self, transitions):
        super().__init__()
        self.transitions = nn.Parameter(transitions)

    def forward(self, encoder_out):
        return encoder_out


def asg(size, **options):
    return AsgObjective.Config(decoder={"name": "asg", **options}).build(vocabulary=Vocabulary(size))


def test_published_losses_and_gradients(monkeypatch):
    # The published transcripts go from a label to the same label, without a symbol for repeats.
    monkeypatch.setattr("speechkit.objectives.asg._with_repeats", lambda tokens, repeat: [(each, False) for each in tokens])
    emissions, decoder = numbers(EMISSIONS, 3, 5, 6).requires_grad_(), Emissions(torch.zeros(6, 6))
    losses = asg(6)(decoder, emissions, torch.full((3,), 5), Targets(TOKENS, TOKEN_LENS))
    torch.testing.assert_close(losses, LOSSES, rtol=0, atol=2e-4)  # the inputs are printed with four decimals
    losses.sum().backward()
    torch.testing.assert_close(emissions.grad, numbers(EMISSIONS_GRAD, 3, 5, 6), rtol=0, atol=6e-5)
    torch.testing.assert_close(decoder.transitions.grad, numbers(TRANSITIONS_GRAD, 6, 6), rtol=0, atol=6e-5)


def test_with_one_label_there_is_one_path():
    transitions, emissions = torch.randn(1, 1), torch.randn(1, 7, 1)
    chain = Chains(torch.tensor([[0]]), torch.tensor([[False]]), torch.tensor([1]))
    rest = emissions, transitions, torch.tensor([7])
    found = all_paths_score(*rest), chain_score(*rest, chain)
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize(
    ("between_equals", "tokens", "least"),
    [("repeat", [2, 2, 2], 3), ("repeat", [2, 3], 2), ("silence", [2, 2, 2], 5), ("silence", [2, 3], 2), ("silence", [], 0)],
)
def test_alignable_counts_the_frames_that_a_transcript_needs(between_equals, tokens, least):
    objective = asg(5, between_equals=between_equals)
    targets = Targets(torch.tensor([tokens], dtype=torch.int64), torch.tensor([len(tokens)]))
    assert [objective.alignable(torch.tensor([s]), targets).item() for s in (least - 1, least)] == [False, True]


def test_an_empty_transcript_needs_silence():
    targets = Targets(torch.zeros(1, 0, dtype=torch.int64), torch.tensor([0]))
    assert not asg(5).alignable(torch.tensor([3]), targets) and asg(5).alignable(torch.tensor([0]), targets)
    assert asg(5, between_equals="silence").alignable(torch.tensor([3]), targets)


@pytest.mark.parametrize("between_equals", ["repeat", "silence"])
def test_the_alignment_spells_the_transcript(between_equals):
    torch.manual_seed(0)
    objective = asg(5, between_equals=between_equals)
    decoder = objective.config.decoder.build(in_dim=7, vocabulary=Vocabulary(5)).eval()
    encoder_out, lens = 3 * torch.randn(3, 11, 7), torch.tensor([11, 9, 2])
    targets = Targets(torch.tensor([[2, 2, 2, 3], [3, 2, 2, 0], [2, 3, 2, 0]]), torch.tensor([4, 3, 3]))
    *found, impossible = objective.align(decoder, encoder_out, lens, targets)
    for alignment, num_tokens, length in zip(found, (4, 3), (11, 9)):
        starts, ends = zip(*alignment.token_times)
        assert len(starts) == num_tokens == len(alignment.confidences) and ends[-1] <= length
        assert all(a < b for a, b in alignment.token_times) and all(b <= a for b, a in zip(ends[:-1], starts[1:]))
        if between_equals == "repeat":
            assert starts[0] == 0 and ends[-1] == length and ends[:-1] == starts[1:]
    assert impossible.score == -torch.inf and impossible.token_times == []


def test_another_decoder_is_refused():
    with pytest.raises(ConfigError, match="expected asg, whose transitions"):
        validate(AsgObjective.Config, {"name": "asg", "decoder": {"name": "linear"}})
