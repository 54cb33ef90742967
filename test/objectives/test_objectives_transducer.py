"""The transducer objective, beyond what all objectives must do."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from speechkit.config import ConfigError, validate
from speechkit.data.batch import Targets
from speechkit.models.decoder.transducer import Transducer
from speechkit.models.predictor.stateless import Stateless
from speechkit.objectives.transducer import TransducerObjective
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.utterances import UtteranceError

D, V, LENS = 5, 6, torch.tensor([4, 3])
TARGETS = Targets(torch.tensor([[1, 3], [4, 77]]), torch.tensor([2, 1]))
SMALL = Transducer.Config(predictor=Stateless.Config(dim=8), joiner_dim=3)
topologies = pytest.mark.parametrize("topology", ["regular", "modified", "monotonic"])


def build(**options):
    """The objective, a small decoder in double precision, and encodings."""
    torch.manual_seed(0)
    config = TransducerObjective.Config(decoder=SMALL, **options)
    decoder = config.decoder.build(in_dim=D, vocabulary=Vocabulary(V)).double().eval()
    return config.build(vocabulary=Vocabulary(V)), decoder, torch.randn(2, 4, D, dtype=torch.float64)


def path_scores(decoder, encodings, tokens, topology):
    """Log-probability of every path, by its frames of emission, straight from the joiner's logits."""
    predicted = decoder.joiner.predictor_proj(decoder.predictor(tokens[None], torch.tensor([len(tokens)])))[0]
    encoded = decoder.joiner.encoder_proj(encodings)
    log_probs = decoder.joiner(encoded[:, None], predicted).log_softmax(-1)
    scores = {}
    for frames in itertools.product(range(len(encodings)), repeat=len(tokens)):
        steps = itertools.pairwise(frames)
        if not all(a <= b if topology == "regular" else a < b for a, b in steps):
            continue
        score = 0.0
        for t in range(len(encodings)):
            u = sum(frame < t for frame in frames)
            for frame in frames:
                if frame == t:
                    score += log_probs[t, u, tokens[u]].item()
                    u += 1
            if topology == "regular" or t not in frames:
                score += log_probs[t, u, 0].item()
        scores[frames] = score
    return scores


@topologies
def test_the_loss_and_the_alignment_are_those_of_all_paths_enumerated(topology):
    objective, decoder, encoder_out = build(topology=topology)
    with torch.no_grad():
        losses = objective(decoder, encoder_out, LENS, TARGETS)
        alignments = objective.align(decoder, encoder_out, LENS, TARGETS)
        for b in range(2):
            tokens = TARGETS.tokens[b, : TARGETS.token_lens[b]]
            scores = path_scores(decoder, encoder_out[b, : LENS[b]], tokens, topology)
            assert losses[b].item() == pytest.approx(-math.log(sum(map(math.exp, scores.values()))), abs=1e-10)
            best = max(scores, key=scores.get)
            assert alignments[b].score == pytest.approx(scores[best], abs=1e-10)
            assert tuple(start for start, _ in alignments[b].token_times) == best


@topologies
def test_frames_are_needed_once_for_all_tokens_or_once_for_each(topology):
    objective, decoder, encoder_out = build(topology=topology)
    batch = encoder_out[:1].expand(5, -1, -1)
    tokens, token_lens = torch.tensor([[1, 2, 3]]).expand(5, -1), torch.tensor([3, 3, 1, 0, 0])
    lens = torch.tensor([3, 1, 0, 1, 0])
    possible = [True, topology == "regular", False, True, True]
    targets = Targets(tokens, token_lens)
    assert objective.alignable(lens, targets).tolist() == possible
    losses = objective(decoder, batch, lens, targets)
    assert losses.ne(0).tolist() == [*possible[:4], False]  # no tokens in no frames: certain
    scores = [alignment.score for alignment in objective.align(decoder, batch, lens, targets)]
    assert [math.isfinite(score) for score in scores] == possible


@pytest.mark.parametrize(
    "options", [{"joiner_chunk": 3}, {"joiner_cache": 0.0}, {"neglect": 0.0}, {"kernel": "torch"}]
)
def test_how_it_is_computed_changes_neither_loss_nor_gradient(options):
    results = []
    for each in ({}, options):
        objective, decoder, encoder_out = build(**each)
        losses = objective(decoder, encoder_out, LENS, TARGETS)
        results.append([losses, *torch.autograd.grad(losses.sum(), decoder.parameters())])
    torch.testing.assert_close(*results)


def test_fastemit_changes_the_gradient_and_not_the_value():
    results = []
    for fastemit in (0.0, 0.5):
        objective, decoder, encoder_out = build(fastemit=fastemit)
        losses = objective(decoder, encoder_out, LENS, TARGETS)
        results.append((losses, torch.autograd.grad(losses.sum(), decoder.joiner.out.bias)[0]))
    assert torch.equal(results[0][0], results[1][0])
    # Tokens are emitted 3 times in all, and what their rows gain is taken from all rows.
    assert results[1][1][0] > results[0][1][0] and results[1][1][[1, 3, 4]].sum() < results[0][1][[1, 3, 4]].sum()


def test_the_blank_and_unknown_ids_among_the_tokens_are_errors_about_the_utterance():
    objective, decoder, encoder_out = build()
    for token in (0, V, -1):
        targets = Targets(torch.tensor([[1, 3], [token, 3]]), torch.tensor([2, 1]))
        for call in (objective, objective.align):
            with pytest.raises(UtteranceError) as error:
                call(decoder, encoder_out, LENS, targets)
            assert error.value.index == 1


def test_options_that_cannot_be_are_errors():
    for option, value in (
        ("topology", "diagonal"), ("fastemit", -0.1), ("joiner_chunk", 0), ("neglect", 1.0), ("kernel", "k2"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=option):
            validate(TransducerObjective.Config, {"name": "transducer", option: value})
    with pytest.raises(ConfigError, match="expected a transducer, with predictor and joiner, got 'linear'"):
        validate(TransducerObjective.Config, {"name": "transducer", "decoder": "linear"})
