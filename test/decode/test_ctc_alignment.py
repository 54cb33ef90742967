from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from speechkit.decode.ctc_alignment import align


def random_log_probs(num_frames, vocab_size, seed=0):
    logits = np.random.default_rng(seed).normal(size=(num_frames, vocab_size))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def spans_of(path, blank_id):
    """Runs of one token that is not the blank, as (token, first frame, frame after the last)."""
    frames = itertools.groupby(enumerate(path), key=lambda item: item[1])
    runs = [(token, [t for t, _ in group]) for token, group in frames]
    return [(token, ts[0], ts[-1] + 1) for token, ts in runs if token != blank_id]


@pytest.mark.parametrize("blank_id", [0, 2])
@pytest.mark.parametrize("tokens", [[], [1], [1, 3], [1, 1], [3, 1, 1], [1, 3, 1, 3]])
@pytest.mark.parametrize("seed", range(5))
def test_the_alignment_is_the_likeliest_of_all_paths_that_spell_the_tokens(tokens, blank_id, seed):
    log_probs = random_log_probs(6, 4, seed)
    paths = [
        path
        for path in itertools.product(range(4), repeat=6)
        if [token for token, _, _ in spans_of(path, blank_id)] == tokens
    ]
    scores = [sum(log_probs[t, k] for t, k in enumerate(path)) for path in paths]
    best = paths[int(np.argmax(scores))]
    score, times, peaks = align(log_probs, tokens, blank_id)
    assert score == pytest.approx(max(scores), abs=1e-12)
    assert times == [(first, last) for _, first, last in spans_of(best, blank_id)]
    assert peaks == pytest.approx([np.exp(log_probs[a:b, k].max()) for k, a, b in spans_of(best, blank_id)])


def test_published_path_probabilities_of_wenet():
    # wenet-e2e/wenet, runtime/core/test/ctc_prefix_beam_search_test.cc: "viterbi score" of the three best.
    log_probs = np.log([[0.25, 0.40, 0.35], [0.40, 0.35, 0.25], [0.10, 0.50, 0.40]])
    for tokens, probability in [([2, 1], 0.07), ([1, 2], 0.064), ([1], 0.07)]:
        assert math.exp(align(log_probs, tokens)[0]) == pytest.approx(probability, rel=1e-12)


@pytest.mark.parametrize(("num_frames", "tokens"), [(2, [1, 1]), (1, [1, 2]), (0, [1])])
def test_tokens_that_do_not_fit_have_no_alignment(num_frames, tokens):
    assert align(random_log_probs(num_frames, 4), tokens) == (-math.inf, [], [])


def test_no_frames_and_no_tokens_are_certain():
    assert align(random_log_probs(0, 4), []) == (0.0, [], [])
