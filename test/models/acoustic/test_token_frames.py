from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from speechkit.models.acoustic.base import Speech
from speechkit.models.acoustic.token_frames import predicted_durations, recorded_durations
from speechkit.nn.text_aligner import TextAligner


def speech():
    torch.manual_seed(0)
    lens, frames = torch.tensor([3, 2]), torch.tensor([7, 4])
    durations = torch.tensor([[2, 4, 1], [3, 1, 99]])  # 99 lies at padding
    return Speech(torch.ones(2, 3).long(), lens, torch.randn(2, 7, 5), frames, torch.zeros(2).long(), durations)


def test_given_durations_are_those_of_the_data_without_its_padding():
    durations, alignment = recorded_durations(speech(), torch.randn(2, 3, 4), None)
    assert durations.tolist() == [[2, 4, 1], [3, 1, 0]] and alignment is None


def test_durations_that_do_not_add_up_are_refused():
    wrong = torch.tensor([[2, 4, 2], [3, 1, 0]])
    with pytest.raises(ValueError, match=r"add up to its frames, \[7, 4\], got \[8, 4\]"):
        recorded_durations(replace(speech(), durations=wrong), torch.randn(2, 3, 4), None)


def test_an_aligner_gives_each_token_a_frame_and_all_frames_a_token():
    durations, alignment = recorded_durations(replace(speech(), durations=None), torch.randn(2, 3, 4), TextAligner(4, 5))
    assert durations.sum(1).tolist() == [7, 4] and (durations[0] > 0).all() and durations[1, 2] == 0
    assert torch.equal(alignment.durations, durations) and alignment.log_probs is not None


def test_predicted_durations_follow_the_speed_and_are_never_nothing():
    logs = torch.tensor([[math.log1p(4), math.log1p(8)], [0.0, 0.0]])
    lens = torch.tensor([2, 1])
    assert predicted_durations(logs, lens, 1.0, None).tolist() == [[4, 8], [1, 0]]
    assert predicted_durations(logs, lens, 2.0, None).tolist() == [[2, 4], [1, 0]]
    assert predicted_durations(logs.zero_(), lens, 1.0, TextAligner(4, 5)).tolist() == [[1, 1], [1, 0]]
