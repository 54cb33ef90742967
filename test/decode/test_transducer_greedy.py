"""Greedy transducer search against a walk frame by frame."""

from __future__ import annotations

import math

import pytest
import torch
from transducer_toy import build, encodings, log_probs_after, toy


def walk(decoder, encoder_out, limit):
    """The textbook: one symbol after the other."""
    labels, frames, score, frame, in_frame = (), [], 0.0, 0, 0
    while frame < len(encoder_out):
        (log_probs,) = log_probs_after(decoder, encoder_out[frame : frame + 1], labels)
        token = max(range(len(log_probs) - 1), key=log_probs.__getitem__)  # the last one is no label
        if limit > 1 and in_frame == limit:
            token = 0
        score += log_probs[token]
        if token != 0:
            labels, in_frame = (*labels, token), in_frame + 1
            frames.append((frame, math.exp(log_probs[token])))
        if token == 0 or limit == 1:
            frame, in_frame = frame + 1, 0
    return list(labels), score, frames


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("blank_bonus", [-3.0, 2.0, 9.0])
def test_it_equals_a_walk_frame_by_frame(limit, blank_bonus):
    decoder, encoder_out = toy(6, seed=3, blank_bonus=blank_bonus), encodings(3, 19)
    lens = torch.tensor([19, 8, 11])
    search = build("transducer_greedy", decoder.vocabulary, max_symbols_per_frame=limit)
    for b, (best,) in enumerate(search.decode({"transducer": decoder}, encoder_out, lens)):
        labels, score, frames = walk(decoder, encoder_out[b, : lens[b]], limit)
        assert best.tokens == labels
        assert best.score == pytest.approx(score, abs=1e-9) and best.scores == {"transducer": best.score}
        assert best.token_times == [(frame, frame + 1) for frame, _ in frames]
        assert best.confidences == pytest.approx([confidence for _, confidence in frames], abs=1e-9)
