"""GTC against CTC: a transcript, an n-best list, a confusion network."""

from __future__ import annotations

import pytest
import torch

from speechkit.data.batch import Targets
from speechkit.objectives.ctc import CtcObjective
from speechkit.objectives.gtc import GtcObjective
from speechkit.text.vocabulary import Vocabulary

LENS = torch.tensor([11, 7, 5])
TOKENS = Targets(torch.tensor([[1, 1, 3], [2, 0, 0], [0, 0, 0]]), torch.tensor([3, 1, 0]))


def log_softmax(scores):
    return scores.log_softmax(-1)


def gtc(**options):
    return GtcObjective.Config(**options).build(vocabulary=Vocabulary(5))


def ctc_of(logits, length, tokens):
    objective = CtcObjective.Config().build(vocabulary=Vocabulary(5))
    targets = Targets(torch.tensor([[*tokens, 1]]), torch.tensor([len(tokens)]))
    return objective(log_softmax, logits.unsqueeze(0), length.unsqueeze(0), targets)[0]


@pytest.mark.parametrize("kernel", ["numba", "torch"])
def test_a_transcript_alone_is_ctc(kernel):
    logits = torch.randn(3, 11, 5, dtype=torch.float64, requires_grad=True)
    ctc = CtcObjective.Config().build(vocabulary=Vocabulary(5))(log_softmax, logits, LENS, TOKENS)
    (expected,) = torch.autograd.grad(ctc.sum(), logits)
    for alternatives in (None, [[[(0.0, [1, 1, 3])]], [[(0.0, [2])]], []]):
        targets = Targets(TOKENS.tokens, TOKENS.token_lens, alternatives)
        loss = gtc(kernel=kernel)(log_softmax, logits, LENS, targets)
        torch.testing.assert_close(loss, ctc)
        torch.testing.assert_close(torch.autograd.grad(loss.sum(), logits)[0], expected)


def test_an_nbest_list_is_the_weighted_sum_of_its_sentences():
    logits = torch.randn(3, 11, 5, dtype=torch.float64)
    nbest = [(-0.2, [1, 2]), (-1.9, [1, 2, 2]), (-3.0, []), (-4.0, [3])]
    loss = gtc()(log_softmax, logits, LENS, Targets(TOKENS.tokens, TOKENS.token_lens, [[nbest]] * 3))
    for b in range(3):
        terms = torch.stack([weight - ctc_of(logits[b], LENS[b], tokens) for weight, tokens in nbest])
        torch.testing.assert_close(loss[b], -terms.logsumexp(0))


def test_a_confusion_network_is_the_weighted_sum_of_all_its_sentences():
    logits = torch.randn(1, 11, 5, dtype=torch.float64)
    network = [[(-0.1, [1]), (-2.3, [2, 1])], [(-0.7, []), (-0.7, [1])], [(-0.4, [3]), (-1.1, [1])]]
    loss = gtc()(log_softmax, logits, LENS[:1], Targets(TOKENS.tokens[:1], TOKENS.token_lens[:1], [network]))
    terms = [
        a[0] + b[0] + c[0] - ctc_of(logits[0], LENS[0], [*a[1], *b[1], *c[1]])
        for a in network[0] for b in network[1] for c in network[2]
    ]  # fmt: skip
    torch.testing.assert_close(loss[0], -torch.stack(terms).logsumexp(0))


def test_the_frames_must_suffice_for_one_alternative():
    alternatives = [[[(0.0, [1, 1]), (0.0, [1, 2, 3])]], [[(-1.0, [1, 1, 1]), (-1.0, [4, 4])]], [[(0.0, [])]]]
    targets = Targets(TOKENS.tokens, TOKENS.token_lens, alternatives)
    assert gtc().alignable(torch.tensor([3, 2, 0]), targets).tolist() == [True, False, True]
    logits = torch.randn(3, 3, 5, requires_grad=True)
    loss = gtc()(log_softmax, logits, torch.tensor([3, 2, 0]), targets)
    (grad,) = torch.autograd.grad(loss.sum(), logits)
    assert loss[1:].tolist() == [0, 0] and loss[0] > 0 and grad[1:].eq(0).all() and grad.isfinite().all()


@pytest.mark.parametrize("wrong", [0, 5])
def test_an_alternative_with_a_token_outside_the_vocabulary_is_named(wrong):
    targets = Targets(TOKENS.tokens, TOKENS.token_lens, [[], [[(0.0, [1]), (0.0, [wrong])]], []])
    with pytest.raises(ValueError, match=f"utterance 1 .*: alternatives: .* got {wrong}; use the tokenizer"):
        gtc()(log_softmax, torch.randn(3, 11, 5), LENS, targets)


def test_the_transcript_is_aligned_as_in_ctc():
    logits, ctc = torch.randn(3, 11, 5), CtcObjective.Config().build(vocabulary=Vocabulary(5))
    assert gtc().align(log_softmax, logits, LENS, TOKENS) == ctc.align(log_softmax, logits, LENS, TOKENS)
