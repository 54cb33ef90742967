from __future__ import annotations

import pytest
import torch

from speechkit.features.framing import Framing


def bounce(index: int, length: int, repeat_edge: bool) -> int:
    """Walk back and forth over ``range(length)``, one step at a time."""
    while not 0 <= index < length:
        if index < 0:
            index = -index - (1 if repeat_edge else 0)
        else:
            index = 2 * length - index - (1 if repeat_edge else 2)
    return index


@pytest.mark.parametrize("edges", ["symmetric", "reflect"])
@pytest.mark.parametrize("length", [2, 3, 7, 40])
def test_mirroring_walks_back_and_forth_over_the_utterance(edges, length):
    index = torch.arange(-25, length + 25)
    expected = [bounce(i, length, edges == "symmetric") for i in index.tolist()]
    assert Framing(9, 4, edges=edges).mirror(index, length).tolist() == expected


@pytest.mark.parametrize("edges", ["symmetric", "reflect"])
def test_a_single_sample_mirrors_itself(edges):
    assert Framing(9, 4, edges=edges).mirror(torch.arange(-5, 6), 1).tolist() == [0] * 11


def test_reflection_is_that_of_torch():
    framing = Framing(10, 4, left=3)
    wav = torch.arange(21.0)
    extended = framing.extend(wav)  # 5 frames cover 26 samples
    assert torch.equal(extended, torch.nn.functional.pad(wav[None], (3, 2), mode="reflect")[0])


@pytest.mark.parametrize(("window", "hop"), [(400, 160), (551, 220), (7, 7), (5, 1)])
def test_whole_windows_are_those_that_fit(window, hop):
    framing = Framing.cut(window, hop)
    for length in range(3 * window):
        assert framing.num_frames(length) == len(range(0, length - window + 1, hop))


@pytest.mark.parametrize(("window", "hop"), [(400, 160), (551, 220), (7, 7), (5, 1)])
def test_kaldi_frames_are_centred_within_the_utterance(window, hop):
    framing = Framing.kaldi(window, hop)
    for length in range(1, 3 * window):
        centres = [t for t in range(length + hop) if t * hop + hop - hop // 2 <= length]
        assert framing.num_frames(length) == max(len(centres), 1)


@pytest.mark.parametrize("framing", [Framing.kaldi(11, 4), Framing.cut(11, 4), Framing(11, 4, left=3)])
def test_a_padded_batch_is_extended_like_its_utterances(framing):
    wav = torch.arange(2 * 37.0).view(2, 37)
    lens = torch.tensor([37, 18])
    extended = framing.extend_batch(wav, lens)
    assert len(extended[0]) == framing.span(framing.num_frames(37))
    for row, length in enumerate(lens.tolist()):
        expected = framing.extend(wav[row, :length])
        assert torch.equal(extended[row, : len(expected)], expected)


def test_lengths_come_back_as_they_went_in():
    framing = Framing.kaldi(400, 160)
    assert framing.num_frames(16000) == 100
    assert torch.equal(framing.num_frames(torch.tensor([16000, 0, 1])), torch.tensor([100, 0, 1]))
