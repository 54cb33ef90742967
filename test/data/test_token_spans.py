from __future__ import annotations

import numpy as np
import pytest

from speechkit.data.token_spans import frames_of_spans, spans_of_tokens


def test_between_two_sounds_the_border_is_in_the_middle_and_the_ends_have_what_is_left():
    spans = [(0.3, 0.4), (0.6, 0.7), (0.8, 0.9)]
    assert frames_of_spans("abc", spans, 0.1, 12).tolist() == [5, 3, 4]  # borders at 0.5 and 0.75
    assert frames_of_spans("abc", spans, 0.1, 12).dtype == np.int32


def test_a_pause_has_what_sounds_do_not_usually_need():
    # Between a and b 0.2 s are silent, half of it each's. So b goes on to 1.0, and c begins at 1.9.
    spans = [(0.3, 0.4), (0.6, 0.9), None, (2.0, 2.2)]
    assert frames_of_spans(["a", "b", ",", "c"], spans, 0.1, 25).tolist() == [5, 5, 9, 6]


def test_a_pause_that_nobody_makes_has_no_frames():
    assert frames_of_spans("a b", [(0.0, 0.5), None, (0.5, 1.0)], 0.1, 10).tolist() == [5, 0, 5]
    spiky = [(0.2, 0.3), (0.5, 0.6), None, (0.7, 0.8)]  # less room than usual around the pause: in the middle
    assert frames_of_spans(["a", "b", "|", "c"], spiky, 0.1, 10).tolist()[2] == 0


def test_a_pause_that_was_heard_has_its_span_and_the_silence_around_it():
    spans = [(0.0, 0.4), (0.6, 0.7), (1.0, 1.5)]
    assert frames_of_spans(["a", "|", "b"], spans, 0.1, 15).tolist() == [4, 6, 5]


def test_pauses_at_the_edges_have_the_silence_there():
    spans = [None, (0.5, 0.7), None]
    assert frames_of_spans(["-", "a", "."], spans, 0.1, 12).tolist() == [5, 2, 5]


@pytest.mark.parametrize("num_frames", [0, 1, 3, 40, 1000])
def test_the_frames_add_up_whatever_the_times(num_frames):
    rng = np.random.default_rng(7)
    for count in (1, 2, 5, 11):
        times = np.sort(rng.uniform(0, 3, 2 * count)).reshape(-1, 2)
        names = [rng.choice(["a", "|", ","]) for _ in range(count)]
        names[0] = "a"
        spans = [None if name != "a" and rng.random() < 0.5 else (a, b) for name, (a, b) in zip(names, times.tolist())]
        frames = frames_of_spans(names, spans, 0.0116, num_frames)
        assert frames.sum() == num_frames and (frames >= 0).all() and len(frames) == count


def test_tokens_that_are_the_same_keep_their_spans():
    assert spans_of_tokens(["a", "|"], ["a", "|"], [(0, 1), (1, 2)]) == [(0, 1), (1, 2)]


def test_pauses_that_only_one_of_them_has_do_not_matter():
    heard, spans = ["a", " ", "b", "c"], [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert spans_of_tokens(["a", "b", ",", "c", "."], heard, spans) == [(0, 1), (2, 3), None, (3, 4), None]


def test_other_sounds_are_no_match():
    assert spans_of_tokens(["a", "b"], ["a", "c"], [(0, 1), (1, 2)]) is None
    assert spans_of_tokens(["a", "b"], ["a"], [(0, 1)]) is None
