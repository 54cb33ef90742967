"""The frame-synchronous beam search with one symbol per frame and with several."""

from __future__ import annotations

import pytest
import torch
from transducer_toy import build, encodings, probability_of_all, toy

LENS = torch.tensor([13, 0, 8])


def decode(decoder, encoder_out, lens, **options):
    return build("transducer_beam", decoder.vocabulary, **options).decode({"transducer": decoder}, encoder_out, lens)


@pytest.mark.parametrize(("limit", "num_frames"), [(1, 4), (2, 3), (3, 2)])
def test_a_wide_beam_is_exact_for_every_number_of_symbols_per_frame(limit, num_frames):
    decoder, encoder_out = toy(4, seed=limit), encodings(1, num_frames)
    exact = probability_of_all(decoder, encoder_out[0], limit)
    options = {"beam_size": len(exact), "nbest": len(exact), "max_symbols_per_frame": limit}
    found = decode(decoder, encoder_out, torch.tensor([num_frames]), **options)[0]
    assert {tuple(h.tokens): h.score for h in found} == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_one_hypothesis_and_one_symbol_per_frame_make_the_greedy_search(seed):
    decoder, encoder_out = toy(7, seed, blank_bonus=2.0), encodings(3, 13, seed=seed)
    greedy = build("transducer_greedy", decoder.vocabulary, max_symbols_per_frame=1)
    expected = greedy.decode({"transducer": decoder}, encoder_out, LENS)
    found = decode(decoder, encoder_out, LENS, beam_size=1, max_symbols_per_frame=1)
    for one, other in zip(found, expected, strict=True):
        assert one[0].tokens == other[0].tokens and one[0].token_times == other[0].token_times
        assert one[0].score == pytest.approx(other[0].score, abs=1e-9)


def test_equal_sequences_are_merged_when_one_left_the_beam_and_came_back():
    hypotheses = decode(toy(4, seed=4), encodings(9, 12), torch.full((9,), 12), beam_size=3, nbest=3)
    assert all(len({tuple(h.tokens) for h in each}) == len(each) == 3 for each in hypotheses)


def test_a_token_has_the_frame_of_the_likeliest_alignment():
    decoder, encoder_out = toy(4, seed=2), encodings(1, 4)
    joiner, blank = decoder.joiner, 0
    best = {}
    for frame in range(4):  # one label 1 in one of four frames
        score = 0.0
        for t in range(4):
            labels = torch.ones(1, int(t > frame), dtype=torch.int64)
            predicted = decoder.predictor(labels, torch.tensor([labels.shape[1]]))[0, -1]
            log_probs = joiner(joiner.encoder_proj(encoder_out[0, t]), joiner.predictor_proj(predicted)).log_softmax(-1)
            score += log_probs[1 if t == frame else blank].item()
        best[frame] = score
    found = decode(decoder, encoder_out, torch.tensor([4]), beam_size=40, nbest=40, max_symbols_per_frame=1)[0]
    (single,) = [h for h in found if h.tokens == [1]]
    frame = max(best, key=best.__getitem__)
    assert single.token_times == [(frame, frame + 1)]


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_frame_holds_no_more_labels_than_allowed(beam_size):
    decoder = toy(5, seed=3, blank_bonus=-4.0)
    for limit in (1, 2, 3):
        for hypotheses in decode(decoder, encodings(3, 13), LENS, beam_size=beam_size, max_symbols_per_frame=limit):
            frames = [first for first, _ in hypotheses[0].token_times]
            assert all(frames.count(frame) <= limit for frame in frames)
