from __future__ import annotations

import torch

from speechkit.models.acoustic.speaking import Decoded, compare_stop, frames_heard, say_along, speak


def test_each_step_hears_the_last_frame_of_the_group_before():
    feats = torch.arange(1.0, 8).view(1, 7, 1)
    heard, steps = frames_heard(feats, torch.tensor([7]), 1)
    assert heard.flatten().tolist() == [0, 1, 2, 3, 4, 5, 6] and steps.tolist() == [7]
    heard, steps = frames_heard(feats, torch.tensor([7]), 3)
    assert heard.flatten().tolist() == [0, 3, 6] and steps.tolist() == [3]
    heard, steps = frames_heard(feats[:, :6], torch.tensor([6]), 3)
    assert heard.flatten().tolist() == [0, 3] and steps.tolist() == [2]


def test_padding_is_not_heard():
    heard, steps = frames_heard(torch.full((2, 5, 1), torch.nan), torch.tensor([5, 0]), 2)
    assert heard[1].eq(0).all() and steps.tolist() == [3, 0]


def test_speech_stops_with_its_last_frame_whatever_the_group():
    pair = compare_stop(torch.zeros(3, 6), torch.tensor([6, 5, 2]), 2)
    assert pair.target.tolist() == [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1], [0, 1, 1, 1, 1, 1]]
    assert pair.lens.tolist() == [6, 6, 2]


def script(stops):
    """A decoder of 2 frames a step which says how often it was called, and ends where ``stops`` (B, T) say so."""
    calls = []

    def step(last):
        calls.append(last)
        first = 2 * len(calls) - 2
        feats = torch.stack([last[:, 0] + 1, last[:, 0] + 2], dim=1)
        weights = torch.nn.functional.one_hot(torch.full((len(last), 1), len(calls) - 1), 5).float()
        return Decoded(feats, stops[:, first : first + 2], weights)

    return step, calls


def test_it_hears_itself_until_all_have_ended():
    stops = torch.tensor([[-1.0, -1, -1, 1, -1, 1], [-1, -1, -1, -1, 1, -1]])
    step, calls = script(stops)
    said = speak(step, torch.tensor([9, 9]), feat_dim=1)
    assert len(calls) == 3 and said.feat_lens.tolist() == [4, 5] and said.finished.tolist() == [True, True]
    assert said.feats.squeeze(2).tolist() == [[1, 2, 3, 4, 0], [1, 2, 3, 4, 5]]
    assert said.weights[1].argmax(1).tolist() == [0, 0, 1, 1, 2]
    assert said.weights[0, 4].eq(0).all()


def test_who_does_not_end_is_stopped_at_the_limit_and_says_so():
    step, calls = script(torch.full((2, 8), -1.0))
    said = speak(step, torch.tensor([5, 2]), feat_dim=1)
    assert len(calls) == 3 and said.feat_lens.tolist() == [5, 2] and said.finished.tolist() == [False, False]
    step, _ = script(torch.tensor([[-1.0, 1.0]]))
    assert speak(step, torch.tensor([2]), feat_dim=1).finished.tolist() == [True]


def test_the_threshold_is_a_probability():
    stops = torch.tensor([[0.5, 3.0]])
    for threshold, frames in ((0.5, 1), (0.9, 2)):
        step, _ = script(stops)
        assert speak(step, torch.tensor([2]), 1, threshold).feat_lens.tolist() == [frames]


def test_a_decoder_hears_the_last_frame_of_what_it_has_just_said():
    def step(frame):
        return Decoded(torch.cat([frame + 1, frame + 10], dim=1), torch.zeros(len(frame), 2), states=frame)

    told = torch.arange(0.0, 8.0).view(2, 4, 1) * 100
    own = say_along(step, told, 1.0)
    assert own.feats[0, :, 0].tolist() == [1, 10, 11, 20, 21, 30, 31, 40] and own.feats[1, 0] == 401
    assert own.states[0, :, 0].tolist() == [0, 10, 20, 30] and own.weights is None and own.stop.shape == (2, 8)
    assert torch.equal(say_along(step, told, 1e-12).states, told)
    torch.manual_seed(0)
    many = say_along(step, torch.full((999, 2, 1), 100.0), 0.3)
    assert 0.25 < (many.states[:, 1] == 110).float().mean() < 0.35
