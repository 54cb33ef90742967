"""The alignment-length synchronous search: its limit of labels, and that it agrees with the frame-synchronous one."""

from __future__ import annotations

import pytest
import torch
from transducer_toy import build, encodings, toy


def decode(name, decoder, encoder_out, **options):
    lens = torch.full((len(encoder_out),), encoder_out.shape[1])
    return build(name, decoder.vocabulary, **options).decode({"transducer": decoder}, encoder_out, lens)


@pytest.mark.parametrize(("ratio", "most"), [(0.2, 1), (0.4, 2), (1.0, 5)])
def test_no_hypothesis_has_more_labels_per_frame_than_allowed(ratio, most):
    decoder = toy(5, blank_bonus=-6.0)
    (hypotheses,) = decode("transducer_alsd", decoder, encodings(1, 5), beam_size=6, nbest=6, max_tokens_per_frame=ratio)
    assert max(len(h.tokens) for h in hypotheses) == most


@pytest.mark.parametrize("seed", range(2))
def test_with_wide_beams_it_finds_what_the_frame_synchronous_search_finds(seed):
    decoder = toy(4, seed, blank_bonus=4.0)
    options = {"beam_size": 60, "nbest": 1}
    one = decode("transducer_alsd", decoder, encodings(1, 5, seed=seed), max_tokens_per_frame=1.0, **options)
    other = decode("transducer_beam", decoder, encodings(1, 5, seed=seed), max_symbols_per_frame=5, **options)
    for mine, theirs in zip(one, other, strict=True):
        assert mine[0].tokens == theirs[0].tokens and mine[0].token_times == theirs[0].token_times
        assert mine[0].score == pytest.approx(theirs[0].score, abs=1e-3)


def test_stopping_early_loses_none_of_the_nbest():
    decoder = toy(5, seed=6, blank_bonus=1.0)
    few = decode("transducer_alsd", decoder, encodings(2, 9), beam_size=20, nbest=2)
    all_ = decode("transducer_alsd", decoder, encodings(2, 9), beam_size=20, nbest=20)
    assert [[h.tokens for h in each] for each in few] == [[h.tokens for h in each[:2]] for each in all_]
