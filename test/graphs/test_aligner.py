"""Alignments against enumeration of all paths; a path is a list of places, one per frame or per symbol."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from speechkit.graphs.aligner import NO_PATH, align_ctc, align_monotonic, align_transducer, utterances


def random_log_probs(*shape, seed=0):
    logits = np.random.default_rng(seed).normal(size=shape)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


# --- CTC ----------------------------------------------------------------------------------------------------------


def spans_of(path, blank_id):
    """Runs of one token that is not the blank, as (token, first frame, frame after the last)."""
    frames = itertools.groupby(enumerate(path), key=lambda item: item[1])
    runs = [(token, [t for t, _ in group]) for token, group in frames]
    return [(token, ts[0], ts[-1] + 1) for token, ts in runs if token != blank_id]


@pytest.mark.parametrize("blank_id", [0, 2])
@pytest.mark.parametrize("tokens", [[], [1], [1, 3], [1, 1], [3, 1, 1], [1, 3, 1, 3]])
@pytest.mark.parametrize("seed", range(5))
def test_the_alignment_is_the_likeliest_of_all_ctc_paths_that_spell_the_tokens(tokens, blank_id, seed):
    log_probs = random_log_probs(6, 4, seed=seed)
    paths = [
        path
        for path in itertools.product(range(4), repeat=6)
        if [token for token, _, _ in spans_of(path, blank_id)] == tokens
    ]
    scores = [sum(log_probs[t, k] for t, k in enumerate(path)) for path in paths]
    best = paths[int(np.argmax(scores))]
    found = align_ctc(log_probs, tokens, blank_id)
    assert found.score == pytest.approx(max(scores), abs=1e-12)
    assert found.token_times == [(first, last) for _, first, last in spans_of(best, blank_id)]
    assert found.confidences == pytest.approx([np.exp(log_probs[a:b, k].max()) for k, a, b in spans_of(best, blank_id)])


def test_published_path_probabilities_of_wenet():
    # wenet-e2e/wenet, runtime/core/test/ctc_prefix_beam_search_test.cc: "viterbi score" of the three best.
    log_probs = np.log([[0.25, 0.40, 0.35], [0.40, 0.35, 0.25], [0.10, 0.50, 0.40]])
    for tokens, probability in [([2, 1], 0.07), ([1, 2], 0.064), ([1], 0.07)]:
        assert math.exp(align_ctc(log_probs, tokens).score) == pytest.approx(probability, rel=1e-12)


@pytest.mark.parametrize(("num_frames", "tokens"), [(2, [1, 1]), (1, [1, 2]), (0, [1])])
def test_tokens_that_do_not_fit_have_no_alignment(num_frames, tokens):
    assert align_ctc(random_log_probs(num_frames, 4), tokens) == NO_PATH


def test_a_token_that_is_impossible_where_it_must_be_has_no_alignment():
    log_probs = random_log_probs(3, 4)
    log_probs[:, 2] = -np.inf
    assert align_ctc(log_probs, [1, 2]) == NO_PATH and align_ctc(log_probs, [1, 3]).score > -np.inf


def test_no_frames_and_no_tokens_are_certain():
    assert align_ctc(random_log_probs(0, 4), []).score == 0.0


# --- lattices -----------------------------------------------------------------------------------------------------


def monotonic_paths(num_frames, num_tokens):
    """The frames that emit, each at most once."""
    return itertools.combinations(range(num_frames), num_tokens)


def transducer_paths(num_frames, num_tokens):
    """The frames that emit, each any number of times."""
    return itertools.combinations_with_replacement(range(num_frames), num_tokens)


def path_score(blank, label, emitting, align):
    score, u = 0.0, 0
    for t in range(len(blank)):
        before = u
        while u < len(emitting) and emitting[u] == t:
            score += label[t, u]
            u += 1
        if align is align_transducer or u == before:
            score += blank[t, u]
    return score


@pytest.mark.parametrize(("align", "paths"), [(align_monotonic, monotonic_paths), (align_transducer, transducer_paths)])
@pytest.mark.parametrize("num_tokens", [0, 1, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_a_lattice_path_is_the_likeliest_of_all(align, paths, num_tokens, seed):
    blank, label = random_log_probs(5, num_tokens + 1, 2, seed=seed).transpose(2, 0, 1)
    label = label[:, :num_tokens]
    best = max(paths(5, num_tokens), key=lambda emitting: path_score(blank, label, emitting, align))
    found = align(blank, label)
    assert found.score == pytest.approx(path_score(blank, label, best, align), abs=1e-12)
    assert found.confidences == pytest.approx([np.exp(label[t, u]) for u, t in enumerate(best)])
    assert [first for first, _ in found.token_times] == list(best)
    later = [*best[1:], math.inf]
    assert [last for _, last in found.token_times] == [t + (following > t) for t, following in zip(best, later)]


def test_a_lattice_without_a_path_has_no_alignment():
    blank, label = random_log_probs(2, 4, 2).transpose(2, 0, 1)
    assert align_monotonic(blank, label[:, :3]) == NO_PATH
    assert align_transducer(np.full((2, 4), -np.inf), label[:, :3]) == NO_PATH
    for align in (align_monotonic, align_transducer):
        assert align(blank[:0], label[:0, :3]) == NO_PATH and align(blank[:0, :1], label[:0, :0]).score == 0.0


# --- batches ------------------------------------------------------------------------------------------------------


def test_a_batch_is_cut_into_its_utterances_and_nan_names_the_one_that_has_it():
    scores = torch.randn(3, 5, 2).half().requires_grad_()
    found = list(utterances(scores, torch.tensor([5, 0, 2])))
    assert [len(each) for each in found] == [5, 0, 2] and found[2].dtype == np.float64
    assert (found[2] == scores[2, :2].detach().double().numpy()).all()
    broken = scores.detach().clone()
    broken[2, 1, 0] = broken[1, 0, 0] = math.nan  # the second one in padding
    with pytest.raises(ValueError, match="utterance 2 of the batch: expected scores of each frame, got nan"):
        list(utterances(broken, torch.tensor([5, 0, 2])))
